/** A wire that remembers: passes HTTP on to `target` byte by byte, and keeps what was asked and what was answered. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Exchange = {
  method: string
  path: string
  query: string
  headers: Record<string, string>
  asked: string
  status: number
  answered: string
}
export type Wire = Awaited<ReturnType<typeof openWire>>

/** An answer that never came is not kept. */
export async function openWire(target: string) {
  const exchanges: Exchange[] = []
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const asked = Buffer.concat(parts)
      const { pathname, search } = new URL(request.url!, target)
      const headers = Object.fromEntries(
        Object.entries(request.headers).flatMap(([name, value]) =>
          /^(connection|host|content-length|transfer-encoding)$/.test(name) ? [] : [[name, String(value)]],
        ),
      )
      const answer = await fetch(target + pathname + search, {
        method: request.method!,
        headers,
        redirect: 'manual',
        ...(asked.length > 0 && { body: asked }),
      })
      const answered = await answer.text()
      exchanges.push({
        method: request.method!,
        path: pathname,
        query: search,
        headers,
        asked: asked.toString('utf8'),
        status: answer.status,
        answered,
      })
      answer.headers.forEach((value, name) => {
        if (!/^(connection|content-length|content-encoding|transfer-encoding|keep-alive)$/.test(name))
          response.setHeader(name, value)
      })
      response.writeHead(answer.status).end(answered)
    } catch {
      request.socket.destroy()
    }
  }
  const server: Server = createServer((request, response) => void pass(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exchanges,
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
