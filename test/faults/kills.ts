/** How often the tests here kill, and where they tell what they saw: `npm run faults` sets both (bin/faults.mjs). */
import { appendFileSync } from 'node:fs'

/** Of the server and of PostgreSQL. */
export const KILLS = {
  server: Number(process.env['FAULTS_SERVER_KILLS'] ?? 4),
  postgres: Number(process.env['FAULTS_POSTGRES_KILLS'] ?? 4),
}
/** A limit for the whole; what one takes is a fraction of it. */
export const MS_PER_KILL_MAX = 30_000

/** Events of the bank; with everything else a tenth of what a release is tried with. */
export const WEBHOOKS = Number(process.env['FAULTS_WEBHOOKS'] ?? 1_000)
export const MS_PER_EVENT_MAX = 400

type Kind = keyof typeof KILLS | 'webhooks'

export function tellProgress(progress: { kind: Kind; done: number; of: number }): void {
  tell({ progress })
}

export function tellFigures(figures: { kind: Kind } & Record<string, unknown>): void {
  tell({ figures })
}

function tell(what: object): void {
  const file = process.env['FAULTS_REPORT']
  if (file) appendFileSync(file, `${JSON.stringify(what)}\n`)
}
