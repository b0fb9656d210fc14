/**
 * A wire to PostgreSQL that can be cut: before a call has gone out, after it was carried out, for good then, in the middle of the answer or
 * just before its last word (ReadyForQuery), or so that nobody notices. While a call is being carried out: `cutAll`.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Next =
  | 'carry'
  | 'cut_before'
  | 'cut_after'
  | 'cut_after_for_good'
  | 'cut_inside'
  | 'cut_before_ready'
  | 'silence'

/** The message that ends an answer: its letter, its length, and a letter for the state of the transaction. */
const READY_BYTES = 6

export async function openWire(databaseUrl: string) {
  let next: Next = 'carry'
  let isGone = false
  const open = new Set<Socket>()
  const url = new URL(databaseUrl)
  const target = { port: Number(url.port), host: url.hostname }
  const server = createServer((client) => {
    if (isGone) return void client.destroy()
    const there = connect(target)
    let silent = false
    for (const socket of [client, there]) {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        client.destroy()
        there.destroy()
      })
    }
    client.on('data', (data) => {
      if (next === 'cut_before') {
        next = 'carry'
        client.destroy()
      } else there.write(data)
    })
    there.on('data', (data: Buffer) => {
      // What PostgreSQL says to a call that commits by itself, it says after the commit.
      if (next === 'cut_after' || next === 'cut_after_for_good') {
        isGone = next === 'cut_after_for_good'
        next = 'carry'
        client.destroy()
      } else if (next === 'cut_inside' || next === 'cut_before_ready') {
        const most = next === 'cut_inside' ? Math.floor(data.length / 2) : data.length - READY_BYTES
        next = 'carry'
        client.end(data.subarray(0, most))
      } else if (next === 'silence' || silent) {
        next = 'carry'
        silent = true
      } else client.write(data)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.toString(),
    /** What happens to whatever goes over the wire next, on any connection. */
    nextCall(what: Next): void {
      next = what
    },
    cutAll(): void {
      for (const socket of open) socket.destroy()
    },
    /** Nobody gets through any more; what is open breaks. */
    async close(): Promise<void> {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
