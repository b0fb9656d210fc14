/** COPY, both ways. `pg` carries its messages and leaves it to whoever needs them to make something of them. */
import type { Socket } from 'node:net'
import type pg from 'pg'

type Connection = {
  stream: Socket
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  sendCopyFail(why: string): void
  endCopyFrom(): void
}

/** Pieces of this size or a row more. Unit: bytes. */
const PIECE_BYTES = 1024 * 1024

/** Gives what `copy … to stdout` says to `take`, in pieces of about a mebibyte; answers the number of rows. */
export function copyOut(client: pg.Client, statement: string, take: (piece: Buffer) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    let waiting: Buffer[] = []
    let bytes = 0
    let rows = 0
    const flush = () => {
      if (bytes > 0) take(Buffer.concat(waiting))
      waiting = []
      bytes = 0
    }
    submit(client, statement, {
      handleCopyData({ chunk }: { chunk: Buffer }, connection: Connection) {
        // It lies in a buffer that the next message may be written over.
        waiting.push(Buffer.from(chunk))
        bytes += chunk.length
        if (bytes < PIECE_BYTES) return
        try {
          flush()
        } catch (error) {
          // Nothing can be asked of this connection any more: the rest of the rows is on its way.
          reject(error)
          connection.stream.destroy()
        }
      },
      handleCommandComplete({ text }: { text: string }) {
        rows = rowsOf(text)
      },
      handleReadyForQuery() {
        try {
          flush()
          resolve(rows)
        } catch (error) {
          reject(error)
        }
      },
      handleError: reject,
    })
  })
}

/** Sends pieces to `copy … from stdin`; answers the number of rows that came of them. Fails with whatever the pieces fail with. */
export function copyIn(client: pg.Client, statement: string, pieces: Iterable<Buffer>): Promise<number> {
  return new Promise((resolve, reject) => {
    let rows = 0
    let over = false
    let broken: { error: unknown } | null = null
    async function send(connection: Connection): Promise<void> {
      for (const piece of pieces) {
        // The database has refused a row: the rest is of no use to it.
        if (over) return
        connection.sendCopyFromChunk(piece)
        if (connection.stream.writableNeedDrain) await drained(connection.stream)
      }
      connection.endCopyFrom()
    }
    submit(client, statement, {
      handleCopyInResponse(connection: Connection) {
        send(connection).catch((error: unknown) => {
          broken = { error }
          connection.sendCopyFail('what was to be copied cannot be read')
        })
      },
      handleCommandComplete({ text }: { text: string }) {
        rows = rowsOf(text)
      },
      handleReadyForQuery: () => resolve(rows),
      handleError(error: unknown) {
        over = true
        reject(broken ? broken.error : error)
      },
    })
  })
}

/** Or there is nobody to wait for any more. */
function drained(stream: Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      stream.off('drain', go).off('close', go)
      resolve()
    }
    stream.on('drain', go).on('close', go)
  })
}

type Handlers = {
  handleCopyData?: (message: { chunk: Buffer }, connection: Connection) => void
  handleCopyInResponse?: (connection: Connection) => void
  handleCommandComplete: (message: { text: string }) => void
  handleReadyForQuery: () => void
  handleError: (error: unknown) => void
}

function submit(client: pg.Client, statement: string, handlers: Handlers): void {
  const query = { ...handlers, submit: (connection: Connection) => connection.query(statement) }
  client.query(query as unknown as pg.Submittable)
}

/** `COPY 42` → 42 */
function rowsOf(tag: string): number {
  return Number(/^COPY (\d+)/.exec(tag)?.[1])
}
