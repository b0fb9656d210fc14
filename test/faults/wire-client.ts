/**
 * Many requests a second from one process that has other things to do: HTTP/1.1 over sockets that stay open, and no more of it than
 * this server speaks. A connection carries one request at a time; when all are taken, another is opened.
 */
import { connect, type Socket } from 'node:net'

export type WireAnswer = { status: number; ms: number; headers: string; body: string }

type Line = { socket: Socket; asked: { begun: number; resolve: (answer: WireAnswer) => void } | null; received: Buffer }

/** What stands in an answer that was never asked for, because all sockets are taken. */
export const NO_SOCKET = 'all sockets are taken'

const HEADERS_END = Buffer.from('\r\n\r\n')
const CHUNKS_END = Buffer.from('0\r\n\r\n')

/** Status 0 is no answer: the connection ended, or all are taken (`socketsMax`). */
export function openWireClient(target: { host: string; port: number; socketsMax: number }) {
  const free: Line[] = []
  const lines = new Set<Line>()

  function open(): Line {
    const socket = connect(target.port, target.host).setNoDelay(true)
    const line: Line = { socket, asked: null, received: Buffer.alloc(0) }
    lines.add(line)
    socket.on('data', (data: Buffer) => {
      line.received = line.received.length === 0 ? data : Buffer.concat([line.received, data])
      const answer = readAnswer(line.received)
      if (!answer || !line.asked) return
      const { begun, resolve } = line.asked
      line.asked = null
      line.received = Buffer.alloc(0)
      free.push(line)
      resolve({ ...answer, ms: performance.now() - begun })
    })
    const ended = (why: string) => {
      lines.delete(line)
      const at = free.indexOf(line)
      if (at >= 0) free.splice(at, 1)
      line.asked?.resolve({ status: 0, ms: performance.now() - line.asked.begun, headers: '', body: why })
      line.asked = null
    }
    socket.on('error', (error) => ended(error.message))
    socket.on('close', () => ended('closed'))
    return line
  }

  return {
    ask(method: string, path: string, headers: Record<string, string>, body = ''): Promise<WireAnswer> {
      const begun = performance.now()
      const line = free.pop() ?? (lines.size < target.socketsMax ? open() : null)
      if (!line) return Promise.resolve({ status: 0, ms: 0, headers: '', body: NO_SOCKET })
      const head = Object.entries({ host: target.host, 'content-length': String(Buffer.byteLength(body)), ...headers })
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')
      return new Promise((resolve) => {
        line.asked = { begun, resolve }
        line.socket.write(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`)
      })
    },
    close(): void {
      for (const { socket } of lines) socket.destroy()
    },
  }
}

/** Null: it has not come whole. */
function readAnswer(received: Buffer): Omit<WireAnswer, 'ms'> | null {
  const at = received.indexOf(HEADERS_END)
  if (at < 0) return null
  const headers = received.toString('latin1', 0, at).toLowerCase()
  const body = received.subarray(at + HEADERS_END.length)
  const length = /\r\ncontent-length: (\d+)/.exec(headers)
  const isWhole = length ? body.length >= Number(length[1]) : body.subarray(-CHUNKS_END.length).equals(CHUNKS_END)
  return isWhole ? { status: Number(headers.slice(9, 12)), headers, body: body.toString('utf8') } : null
}
