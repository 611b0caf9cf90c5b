import type { Socket } from 'node:net';
import type { Output } from './ber/writer.ts';
import type { Transport } from './session/session.ts';

/** Answers up to this size are copied, so that the collecting buffer can be used again at once. */
const SMALL = 8 * 1024;

export interface SocketTransport extends Transport {
  /** The socket in use: replaced when TLS starts. */
  socket: Socket;
}

/** @param startTls takes the plain socket over and answers by setting `socket` and `secure`. */
export function createSocketTransport(
  socket: Socket,
  address: string,
  startTls: (transport: SocketTransport) => void,
): SocketTransport {
  const transport: SocketTransport = {
    socket,
    address,
    secure: false,
    send(output) {
      const { length } = output;
      output.length = 0;
      if (transport.socket.destroyed || length === 0) return;
      if (length <= SMALL) {
        transport.socket.write(Buffer.from(output.bytes.subarray(0, length)));
        return;
      }
      const { bytes } = output;
      transport.socket.write(bytes.subarray(0, length));
      // The kernel has not taken all of it: the socket keeps the buffer, and the next answer needs one of its own.
      if (transport.socket.writableLength > 0) replace(output);
    },
    pending: () => transport.socket.writableLength,
    pause: () => {
      transport.socket.pause();
    },
    resume: () => {
      if (transport.socket.isPaused()) transport.socket.resume();
    },
    end: () => {
      transport.socket.end();
    },
    destroy: () => {
      transport.socket.destroy();
    },
    startTls: () => startTls(transport),
  };
  return transport;
}

function replace(output: Output): void {
  output.bytes = Buffer.allocUnsafeSlow(64 * 1024);
}
