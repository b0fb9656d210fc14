/**
 * What is read of an event of the card company: which object it is about, of which kind, and what of ours stands on it. Pure: nobody is
 * asked here, and nothing that an event says beyond that is believed.
 */
import { hashOfToken, readId } from '../../platform/ids.ts'
import { listedKinds } from './stripe.ts'

const NAME_CHARACTERS_MAX = 255

/** Who learns what became of an object. */
export type Action = 'settle' | 'refund' | 'dispute' | 'warning'

/** The kinds of objects that a top-up is about, and who learns what became of one. */
export const kinds: Record<string, { action: Action; bearsOurMark: boolean }> = {
  // We make these and write our mark on each; the charge takes it over from its payment.
  'checkout.session': { action: 'settle', bearsOurMark: true },
  payment_intent: { action: 'settle', bearsOurMark: true },
  charge: { action: 'settle', bearsOurMark: true },
  // These may be made by others, at the card company itself; they name their payment.
  refund: { action: 'refund', bearsOurMark: false },
  dispute: { action: 'dispute', bearsOurMark: false },
  'radar.early_fraud_warning': { action: 'warning', bearsOurMark: false },
}

/** The types that we have read about, and the kind of object that each carries. Another type about a top-up of ours is acted on, and shown to a person. */
export const types = new Map<string, string>(
  Object.entries({
    'checkout.session': ['completed', 'expired', 'async_payment_succeeded', 'async_payment_failed'],
    payment_intent: [
      'created',
      'requires_action',
      'processing',
      'amount_capturable_updated',
      'succeeded',
      'payment_failed',
      'canceled',
      'partially_funded',
    ],
    charge: ['succeeded', 'pending', 'captured', 'failed', 'expired', 'updated', 'refunded'],
    refund: ['created', 'updated', 'failed'],
    'radar.early_fraud_warning': ['created', 'updated'],
  })
    .flatMap(([kind, words]) => words.map((word): [string, string] => [`${kind}.${word}`, kind]))
    .concat(
      ['created', 'updated', 'closed', 'funds_withdrawn', 'funds_reinstated'].map((word) => [
        `charge.dispute.${word}`,
        'dispute',
      ]),
      [['charge.refund.updated', 'refund']],
      listedKinds.map((kind) => [`swept.${kind}`, kind]),
    ),
)

/** What we need of an event, whatever its kind and version. */
export type Told = {
  /** The event's, or what its bytes are known by where it has none. */
  id: string
  readable: boolean
  type: string | null
  livemode: boolean | null
  apiVersion: string | null
  /** The object's id, else the event's. */
  subject: string
  kind: string | null
  externalId: string | null
  installation: string | null
  /** Our own ids, as far as they stand on the object and are written as we write them. */
  topupIds: string[]
  /** The object's id, its payment's and its charge's. */
  externalIds: string[]
}

export function readTold(value: unknown, body: string): Told {
  const event = isRecord(value) ? value : {}
  const id = nameIn(event['id'])
  const inner = isRecord(event['data']) ? event['data']['object'] : undefined
  // The newer, thin events name what they are about instead of carrying it.
  const related = isRecord(event['related_object']) ? event['related_object'] : {}
  const object = isRecord(inner) ? inner : { id: related['id'], object: related['type'] }
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {}
  const externalId = nameIn(object['id'])
  const references = [metadata['topup_id'], object['client_reference_id']].filter((item) => typeof item === 'string')
  return {
    id: id ?? `unnamed_${hashOfToken(body).toString('hex')}`,
    readable: id !== null,
    type: nameIn(event['type']),
    livemode: typeof event['livemode'] === 'boolean' ? event['livemode'] : null,
    apiVersion: nameIn(event['api_version']),
    subject: externalId ?? id ?? '',
    kind: nameIn(object['object']),
    externalId,
    installation: nameIn(metadata['installation']),
    topupIds: references.flatMap((reference) => readId('top', reference) ?? []),
    externalIds: [externalId, idIn(object['payment_intent']), idIn(object['charge'])].filter((item) => item !== null),
  }
}

/** An id, or the id of an object that was written out. */
function idIn(value: unknown): string | null {
  return nameIn(isRecord(value) ? value['id'] : value)
}

function nameIn(value: unknown): string | null {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) && value.length <= NAME_CHARACTERS_MAX ? value : null
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
