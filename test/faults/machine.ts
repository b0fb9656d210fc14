/**
 * What the machine gives to others: to programs that are none of ours, and to other machines on the same iron. A measurement that fails
 * beside them says nothing about us. Where nobody can be asked (not Linux), there are no others.
 */
import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'
import type { World } from '../world.ts'

/** The kernel counts in these, whatever its own clock does. Source: sysconf(_SC_CLK_TCK) on Linux. */
const TICKS_PER_SECOND = 100

type Times = { whole: number; others: number }

/** Begins to look; the end answers which share of all its processors went to others since then, 0 to 1. */
export async function lookAtTheMachine(world: World): Promise<{ shareOfOthers: () => Promise<number> }> {
  if (process.platform !== 'linux') return { shareOfOthers: async () => 0 }
  const postmaster = await postmasterOf(world)
  const before = await timesOf(world, postmaster)
  return {
    async shareOfOthers() {
      const after = await timesOf(world, postmaster)
      return Math.max(0, (after.others - before.others) / (after.whole - before.whole))
    },
  }
}

/** Unit: seconds of one processor, since the machine or whatever is looked at began. */
async function timesOf(world: World, postmaster: number): Promise<Times> {
  const [, ...ticks] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/)
  // user nice system idle iowait irq softirq steal; what guests take is in the first two already.
  const seconds = ticks.slice(0, 8).map((each) => Number(each) / TICKS_PER_SECOND)
  const whole = seconds.reduce((sum, each) => sum + each)
  const idle = seconds[3]! + seconds[4]!
  const { user, system } = process.cpuUsage()
  const figures = await (await fetch(`${world.server.url}/metrics`)).text()
  const server = Number(/^process_cpu_seconds_total (\S+)$/m.exec(figures)![1])
  const database = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processTimes(Number(name)))
    .filter((each) => each !== null && (each.pid === postmaster || each.parent === postmaster))
    .reduce((sum, each) => sum + each!.seconds, 0)
  return { whole, others: whole - idle - (user + system) / 1e6 - server - database }
}

async function postmasterOf(world: World): Promise<number> {
  const client = new pg.Client({ connectionString: world.db.url })
  await client.connect()
  try {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    return processTimes(rows[0]!.pid)?.parent ?? 0
  } finally {
    await client.end()
  }
}

/** With those of its children that have ended. Null: it is gone. */
function processTimes(pid: number): { pid: number; parent: number; seconds: number } | null {
  try {
    // Its name, in brackets, may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0)
    return { pid, parent: Number(fields[1]), seconds: ticks / TICKS_PER_SECOND }
  } catch {
    return null
  }
}
