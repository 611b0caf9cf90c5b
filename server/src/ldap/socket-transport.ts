import type { Socket } from 'node:net';
import type { Output } from './ber/writer.ts';
import type { Transport } from './session/session.ts';

/** Answers up to this size are copied, so that a client that does not read keeps no more than twice what it was sent. */
const SMALL = 32 * 1024;
/** Where they are copied to, by the power of two that they fit in: used again unless a socket had to keep it. */
const copies: (Buffer | undefined)[] = [];

function sendCopy(socket: Socket, bytes: Uint8Array): void {
  const exponent = 32 - Math.clz32(bytes.length - 1);
  const copy = copies[exponent] ?? Buffer.allocUnsafeSlow(2 ** exponent);
  copy.set(bytes);
  socket.write(copy.subarray(0, bytes.length));
  copies[exponent] = socket.writableLength > 0 ? undefined : copy;
}

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
        sendCopy(transport.socket, output.bytes.subarray(0, length));
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
    end: (lastWords) => endSoon(transport.socket, lastWords),
    destroy: () => {
      transport.socket.destroy();
    },
    startTls: () => startTls(transport),
  };
  return transport;
}

/** What has been said is to arrive: octets that are not read would turn the end into a reset, so there is a moment. */
const LINGER = 250;
/** Who does not take even the last answers is not waited for. */
const PATIENCE = 10_000;

/** Destroys a socket after some time, unless it closes by itself: a timer would keep it, and what it has read, in memory. */
export function destroyLater(socket: Socket, milliseconds: number): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), milliseconds);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

function endSoon(socket: Socket, lastWords: boolean): void {
  destroyLater(socket, PATIENCE);
  if (!lastWords) {
    socket.end();
    return;
  }
  // A client that was cut off may go on sending for ever; what it sends is not read any more.
  socket.pause();
  socket.end(() => destroyLater(socket, LINGER));
}

function replace(output: Output): void {
  output.bytes = Buffer.allocUnsafeSlow(64 * 1024);
}
