/**
 * What can go wrong on the way: the next calls of a kind are executed and then get no answer, wait before they are executed, or
 * hear an error, executed or not. Not kept: a fault is for the test that asked for it.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export const operations = [
  'capture',
  'create_session',
  'expire_session',
  'cancel',
  'create_refund',
  'update_refund',
  'update_dispute',
  'close_dispute',
  'retrieve',
  'list',
] as const
export type Operation = (typeof operations)[number]

export const COUNT_MAX = 1_000
export const DELAY_MILLISECONDS_MAX = 60_000

export const failures = [409, 429, 500, 503] as const
type Failure = { status: (typeof failures)[number]; executed: boolean }

export function isFailure(status: number): status is Failure['status'] {
  return failures.some((each) => each === status)
}

export type Faults = ReturnType<typeof openFaults>

export function openFaults() {
  const drops = { operation: null as Operation | null, left: 0 }
  const fails = { operation: null as Operation | null, left: 0, failure: null as Failure | null }
  const delays = { operation: null as Operation | null, left: 0, milliseconds: 0 }
  return {
    dropNext(operation: Operation | null, count: number) {
      Object.assign(drops, { operation, left: operation ? count : 0 })
    },
    delayNext(operation: Operation | null, count: number, milliseconds: number) {
      Object.assign(delays, { operation, left: operation ? count : 0, milliseconds })
    },
    failNext(operation: Operation | null, count: number, failure: Failure) {
      Object.assign(fails, { operation, left: operation ? count : 0, failure })
    },
    fails(operation: Operation): Failure | null {
      if (fails.operation !== operation || fails.left === 0) return null
      fails.left -= 1
      return fails.failure
    },
    drops(operation: Operation): boolean {
      if (drops.operation !== operation || drops.left === 0) return false
      drops.left -= 1
      return true
    },
    async wait(operation: Operation): Promise<void> {
      if (delays.operation !== operation || delays.left === 0) return
      delays.left -= 1
      await sleep(delays.milliseconds)
    },
    state: () => ({
      drop_next: drops.left ? drops.operation : null,
      drops_left: drops.left,
      delay_next: delays.left ? delays.operation : null,
      delays_left: delays.left,
      fail_next: fails.left ? fails.operation : null,
      fails_left: fails.left,
    }),
  }
}
