/**
 * A process that keeps a PostgreSQL of its own by the launcher's means, so that it comes back by them, and does to it what it is told:
 * kills it, fills its disk. It ends with whoever started it, also when that one is killed.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pause } from '../../server/platform/clock.ts'
import type { HowToKill } from './cluster.ts'

/** What this uses of bin/postgres.mjs. */
type Launcher = {
  startCluster(wish: {
    folder: string
    connectionsMax: number
    revival: { deathsMax: number; pauseSeconds: number[]; fullDiskPauseSeconds: number }
    tell: (sentence: string) => void
    onLost: (sentence: string) => void
  }): Promise<{ url: (database: string) => string; pid: () => number | undefined; stop: () => Promise<void> }>
}
export type Order =
  | { does: 'kill'; how: HowToKill }
  | { does: 'kill the next'; afterMs: number }
  | { does: 'fill the disk' | 'empty the disk' }
export type Report = { url: string } | { done: { wasReady?: boolean } } | { failed: string } | { lost: string }

const CONNECTIONS_MAX = 120
const NEXT_MS_MAX = 60_000
const BALLAST_BYTES = 64 * 1024

const folder = process.argv[2]!
const ballast = join(folder, 'ballast')
const report = (what: Report) => void process.send?.(what)

const { startCluster } = (await import(join(import.meta.dirname, '../../bin/postgres.mjs'))) as Launcher
const cluster = await startCluster({
  folder,
  connectionsMax: CONNECTIONS_MAX,
  // Somebody means it.
  revival: { deathsMax: 1_000_000, pauseSeconds: [0.02], fullDiskPauseSeconds: 0.5 },
  tell: () => {},
  onLost: (sentence) => report({ lost: sentence }),
}).catch((error: Error) => {
  report({ failed: error.message })
  process.exit(1)
})

let killed: number | undefined
process.on('message', (order: Order) => {
  void carryOut(order).then(
    (done) => report({ done }),
    (error: Error) => report({ failed: error.message }),
  )
})
const end = () => void cluster.stop().then(() => process.exit(0))
process.once('disconnect', end)
// Told to the whole group, such as by a Ctrl-C: PostgreSQL, which is in none, would stay.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.once(signal, end)
report({ url: cluster.url('postgres') })

async function carryOut(order: Order): Promise<{ wasReady?: boolean }> {
  switch (order.does) {
    case 'kill':
      return kill(order.how)
    case 'kill the next': {
      const end = performance.now() + NEXT_MS_MAX
      // One that finds the dead one's memory still in use ends by itself, and another is tried.
      for (;;) {
        while (!isNext()) {
          assert.ok(performance.now() < end, `there was no next PostgreSQL within ${NEXT_MS_MAX} ms`)
          await pause(1)
        }
        await pause(order.afterMs)
        if (isNext()) return kill('everything')
      }
    }
    case 'fill the disk':
      fill()
      return {}
    case 'empty the disk':
      rmSync(ballast, { force: true })
      return {}
  }
}

function isNext(): boolean {
  const pid = cluster.pid()
  return pid !== undefined && pid !== killed && send(0, pid)
}

function kill(how: HowToKill): { wasReady: boolean } {
  const postmaster = cluster.pid()!
  // It begins nobody any more: one left alive would wait for ever for what those killed beside him had taken.
  if (how === 'everything') send('SIGSTOP', postmaster)
  const children = childrenOf(postmaster)
  const wasReady = isReady(postmaster)
  const backends = children.filter(({ title }) => title.includes('127.0.0.1('))
  if (how === 'backend') {
    const one = backends.find(({ title }) => !title.endsWith('idle')) ?? backends[0]
    send('SIGKILL', one?.pid ?? postmaster)
  } else {
    killed = postmaster
    send('SIGKILL', postmaster)
    if (how === 'everything') for (const { pid } of children) send('SIGKILL', pid)
  }
  return { wasReady }
}

function childrenOf(pid: number): { pid: number; title: string }[] {
  const listed = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' })
  return listed.split('\n').flatMap((line) => {
    const [, child, parent, title] = /^\s*(\d+)\s+(\d+)\s+(.*?)\s*$/.exec(line) ?? []
    return Number(parent) === pid ? [{ pid: Number(child), title: title! }] : []
  })
}

function isReady(pid: number): boolean {
  try {
    const lines = readFileSync(join(folder, 'postgres', 'postmaster.pid'), 'utf8').split('\n')
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
  } catch {
    return false
  }
}

/** False: it is gone. */
function send(signal: NodeJS.Signals | 0, pid: number): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    return false
  }
}

/** To the last byte. */
function fill(): void {
  const file = openSync(ballast, 'a')
  try {
    for (let size = BALLAST_BYTES; size >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(size))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        size = Math.floor(size / 2)
      }
    }
  } finally {
    closeSync(file)
  }
}
