import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below what systems give to whoever asks for any port, so that nobody is given one of these between our look and its use. */
const FIRST = 10_000
const COUNT = 22_000
/** Of one process of the tests; those that run beside it, with other numbers, begin elsewhere. */
const OF_A_PROCESS = 37
const TRIES_MAX = 200

let drawn = 0

/** A port of this machine that nobody listens at, for a program that must be told its port before it starts. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = FIRST + ((process.pid * OF_A_PROCESS + drawn++) % COUNT)
    if (await isFree(port)) return port
  }
  throw new Error(`None of ${TRIES_MAX} ports is free`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const listening = once(server, 'listening')
  server.listen(port, '127.0.0.1')
  try {
    await listening
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
