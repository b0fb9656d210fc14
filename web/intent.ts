import type { Refusal } from './api.ts'

/**
 * The Idempotency-Keys of one button. The same intent keeps its key until it is known what became of it: a press after a lost
 * answer repeats the first request instead of making a second one.
 */
export class IntentKeys {
  private readonly keys = new Map<string, string>()
  private readonly newKey: () => string
  constructor(newKey: () => string = randomKey) {
    this.newKey = newKey
  }

  keyFor(intent: unknown): string {
    const name = JSON.stringify(intent)
    const key = this.keys.get(name) ?? this.newKey()
    this.keys.set(name, key)
    return key
  }

  /** After an answer. `refusal` null: it was done. A refusal that says nothing of the outcome keeps the key. */
  answered(intent: unknown, refusal: Refusal | null): void {
    if (!refusal || !isOutcomeUnknown(refusal)) this.keys.delete(JSON.stringify(intent))
  }
}

function isOutcomeUnknown(refusal: Refusal): boolean {
  switch (refusal.code) {
    case 'unreachable':
    case 'internal_error':
    case 'temporarily_unavailable':
      return true
    default:
      return false
  }
}

/** 128 random bits. Not `randomUUID`, which browsers keep from pages outside https and localhost. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
