import { Socket } from 'node:net';

/** What one read may bring. The kernel holds that much of a fast stream, and each read costs a way through the loop. */
const readBytes = 256 << 10;

/**
 * Buffers that a socket reads into, used again and again. Those that Node makes for each read lie outside the heap of
 * JavaScript, and hundreds of megabytes a second of them keep its collector at work.
 */
export class ReadBuffers {
  readonly #idle: Buffer[] = [];
  readonly #lent: Buffer[] = [];
  /** Who is given what was read. While there is nobody, the socket's listeners are, a copy. */
  onRead: ((chunk: Buffer) => void) | null = null;

  socket(): Socket {
    const socket: Socket = new Socket({
      onread: {
        buffer: () => this.#next(),
        callback: (count, buffer) => {
          const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, count);
          if (this.onRead === null) {
            socket.emit('data', Buffer.from(chunk));
            this.#idle.push(buffer as Buffer);
          } else {
            this.#lent.push(buffer as Buffer);
            this.onRead(chunk);
          }
          return true;
        },
      },
    });
    return socket;
  }

  /** Of the buffers that were handed out, the oldest so many are read into again when the answer is called. */
  lend(count: number): () => void {
    const lent = this.#lent.splice(0, count);
    return () => void this.#idle.push(...lent.splice(0));
  }

  #next(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(readBytes);
  }
}
