/**
 * A program that sends commands to the ledger by the real batcher, in a process of its own that may be killed. Before it sends a list it
 * writes down which, and after the answer what it was, in a file that survives its death.
 *
 * It draws its lists from a seed and tells them to whoever started it, before it sends the first.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { type Command, createLedger } from '../../server/ledger/ledger.ts'
import { OutcomeUnknown, Overloaded } from '../../server/platform/batch.ts'
import { pause } from '../../server/platform/clock.ts'
import { openDatabase } from '../../server/platform/db.ts'
import { openLog } from '../../server/platform/log.ts'
import { print } from '../ledger/oracle.ts'
import { drawLists } from './lists.ts'

export type ToClient =
  | { does: 'draw'; seed: number; accounts: bigint[]; commands: number }
  /** Begins, and says `reached` when it has sent so many lists. */
  | { does: 'send'; journal: string; reach: number }
  /** Begins no other list, and says `done` when it has heard of all it began. */
  | { does: 'end' }
export type FromClient = { lists: Command[][] } | 'ready' | 'reached' | 'done'

const AT_ONCE = 64
const LANES = 2
const COMPACT_EVERY_MS = 60
const SEAL_EVERY_MS = 150

const [url, sealFile] = process.argv.slice(2) as [string, string]
const log = openLog({ level: 'silent' })
const database = openDatabase({ url, role: 'mobilesms_app', connectionsMax: LANES + 3, onIdleError: () => {} })
const ledger = createLedger({ database, log, lanes: LANES, sealFile })
const tell = (what: FromClient) => void process.send?.(what)

let lists: Command[][] = []
let ending = false
process.on('message', (order: ToClient) => {
  if (order.does === 'end') ending = true
  else if (order.does === 'draw') {
    lists = drawLists(order)
    tell({ lists })
  } else void send(order)
})
process.once('disconnect', () => process.exit(0))
tell('ready')

async function send({ journal, reach }: { journal: string; reach: number }): Promise<void> {
  const file = openSync(journal, 'a')
  const write = (line: string) => void writeSync(file, `${line}\n`)
  let next = 0
  ending = false
  const over = new AbortController()
  const beside = [every(COMPACT_EVERY_MS, () => ledger.compact()), every(SEAL_EVERY_MS, () => ledger.seal())]
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (!ending && next < lists.length) {
        const n = next++
        write(`${n} sent`)
        if (next === reach) tell('reached')
        write(`${n} ${await answerTo(lists[n]!)}`)
      }
    }),
  )
  over.abort()
  await Promise.all(beside)
  closeSync(file)
  tell('done')

  /** As the house's own ticks: one that fails runs again at its next turn. */
  async function every(ms: number, work: () => Promise<unknown>): Promise<void> {
    while (!over.signal.aborted) {
      await work().catch(() => {})
      await pause(ms, over.signal)
    }
  }
}

async function answerTo(list: Command[]): Promise<string> {
  try {
    return `answered ${JSON.stringify((await ledger.submitGroup(list)).map(print))}`
  } catch (error) {
    if (error instanceof Overloaded) return 'sent away'
    if (error instanceof OutcomeUnknown) return 'unknown'
    return `failed ${JSON.stringify(String(error))}`
  }
}
