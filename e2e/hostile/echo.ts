import { createServer } from 'node:net';

/** Sends back what it gets: shows how long an answer takes that costs nothing, on this machine and right now. */

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
server.listen(0, '127.0.0.1', () => process.send!((server.address() as { port: number }).port));
process.on('disconnect', () => process.exit(0));
