/** What a measurement costs the machine, and what else it was doing: from the kernel's own accounts (Linux; elsewhere not known). */
import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** The kernel counts in hundredths of a second on every Linux that Node runs on. */
const TICK_MS = 10

type Sample = { at: number; postgresMs: number; nodeMs: number; busyMs: number; stolenMs: number }
/** Processor milliseconds, but for `ambientCores`: what others took of the machine, as cores, with what its host took. */
export type Used = { wallMs: number; postgresMs: number; nodeMs: number; ambientCores: number }

/** @param postmaster the pid of the server's first process, or null where its processes cannot be looked at */
export function createMeter(postmaster: number | null) {
  function sample(): Sample | null {
    if (postmaster === null) return null
    const { user, system } = process.cpuUsage()
    const [busyMs, stolenMs] = machineMs()
    return {
      at: performance.now(),
      postgresMs: familyMs(postmaster),
      nodeMs: (user + system) / 1000,
      busyMs,
      stolenMs,
    }
  }

  return {
    sample,
    /** `othersMs`: what processes took that belong to the measurement besides PostgreSQL and this one. */
    since(before: Sample | null, othersMs = 0): Used | null {
      const now = sample()
      if (!before || !now) return null
      const wallMs = now.at - before.at
      const postgresMs = now.postgresMs - before.postgresMs
      const nodeMs = now.nodeMs - before.nodeMs
      const ambientMs = now.busyMs - before.busyMs + now.stolenMs - before.stolenMs - postgresMs - nodeMs - othersMs
      return { wallMs, postgresMs, nodeMs, ambientCores: Math.max(0, ambientMs / wallMs) }
    },
  }
}

export function parentOf(pid: number): number | null {
  const stat = statOf(pid)
  return stat ? Number(stat[1]) : null
}

/** User and system time of one process. Unit: milliseconds; 0 when it is gone. */
export function processMs(pid: number): number {
  const stat = statOf(pid)
  return stat ? (Number(stat[11]) + Number(stat[12])) * TICK_MS : 0
}

/** A postmaster, its children, and those that have ended. */
function familyMs(postmaster: number): number {
  let ticks = 0
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const stat = statOf(pid)
    if (!stat || (pid !== postmaster && Number(stat[1]) !== postmaster)) continue
    ticks += Number(stat[11]) + Number(stat[12])
    if (pid === postmaster) ticks += Number(stat[13]) + Number(stat[14])
  }
  return ticks * TICK_MS
}

/** The fields after the name, which may hold spaces: state, parent, … */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

/** All processors: working for anybody here, and taken by the host for others. */
function machineMs(): [busy: number, stolen: number] {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readFileSync('/proc/stat', 'latin1')
    .split('\n')[0]!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return [(user + nice + system + irq + softirq) * TICK_MS, steal * TICK_MS]
}

export function machineInWords(): string {
  const all = cpus()
  return `${all.length} × ${all[0]?.model.trim() ?? 'processor'}`
}
