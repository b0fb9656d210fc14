/** The doors through which SMS come in, over HTTP: each stores a message before it answers, and takes none that is not signed. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Routes } from '../accounts/accounts.ts'
import { answerRefusal, fit, parseJson, readBody } from '../platform/answer.ts'
import type { WireClock } from '../platform/clock.ts'
import { REQUEST_BODY_BYTES_MAX } from '../platform/limits.ts'
import type { Orders } from './orders.ts'
import { EMPTY_TWIML, isSignedByTwilio, twilioMessage } from './twilio.ts'

/** How far a message's timestamp may be from ours, to both sides. Unit: seconds. */
const SIGNATURE_TOLERANCE_SECONDS = 300

const smsBody = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .regex(/^[^\0]*$/, 'it has a zero character (U+0000)'),
  to: z.string().regex(/^\+[1-9]\d{6,14}$/, 'write the number as +, country code and digits'),
  from: z.string().min(1).max(64),
  text: z.string(),
})

/**
 * `POST /webhooks/sms/generic`: JSON `{id, to, from, text}`, signed over the raw body:
 * `X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. Answers 2xx only after the message is stored.
 * Without a secret the door is shut (404), or anybody could send codes.
 */
export function smsWebhook(
  table: Routes,
  orders: Orders,
  settings: { secrets: readonly string[]; clock: WireClock },
): void {
  table.post(
    '/webhooks/sms/generic',
    {
      policy: 'signed',
      summary: 'Hand in an SMS',
      description:
        'For SMS gateways: JSON {id, to, from, text}, signed over the raw body: X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">, 300 seconds both ways. Answered 2xx only after the message is stored; the same id again is the same message.',
      answers: { 200: z.object({ status: z.enum(['accepted', 'duplicate']), outcome: z.string() }) },
      refuses: ['not_found', 'invalid_signature', 'invalid_request', 'too_large'],
    },
    async (c) => {
      if (settings.secrets.length === 0) {
        return answerRefusal(c, { code: 'not_found', detail: 'No secret is set for this source, so it is closed.' })
      }
      const raw = await readBody(c, REQUEST_BODY_BYTES_MAX)
      const wrong = verifySignature(c.req.header('x-signature') ?? '', raw, settings)
      if (wrong) return answerRefusal(c, { code: 'invalid_signature', detail: wrong, field: 'X-Signature' })
      const { id, to, from, text } = fit(smsBody, parseJson(raw).content)
      const outcome = await orders.accept({
        source: 'generic',
        externalId: id,
        to,
        // PostgreSQL's text cannot hold a zero character; a phone network can send one.
        from: from.replaceAll('\0', ''),
        text: text.replaceAll('\0', ''),
        body: JSON.stringify({ id, to, from: from.replaceAll('\0', ''), text: text.replaceAll('\0', '') }),
      })
      return c.json({ status: outcome === 'duplicate' ? 'duplicate' : 'accepted', outcome })
    },
  )
}

/**
 * `POST /webhooks/sms/twilio`: the form that Twilio sends for an incoming message, signed as Twilio signs (twilio.ts). Answers only
 * after the message is stored, with an empty TwiML document: nobody gets a reply. Without a token the door is shut (404).
 */
export function twilioWebhook(
  table: Routes,
  orders: Orders,
  settings: { tokens: readonly string[]; publicUrl: string },
): void {
  table.post(
    '/webhooks/sms/twilio',
    {
      policy: 'signed',
      summary: 'Hand in an SMS as Twilio does',
      description:
        'The webhook for incoming messages of a number at Twilio: a form, signed by X-Twilio-Signature with the auth token, over the address that is set there. Answered only after the message is stored; the same MessageSid again is the same message.',
      answers: { 200: 'An empty TwiML document' },
      refuses: ['not_found', 'unsupported_media_type', 'invalid_signature', 'invalid_request', 'too_large'],
    },
    async (c) => {
      if (settings.tokens.length === 0) {
        return answerRefusal(c, { code: 'not_found', detail: 'No token is set for this source, so it is closed.' })
      }
      const raw = await readBody(c, REQUEST_BODY_BYTES_MAX)
      if (!/^application\/x-www-form-urlencoded\b/i.test(c.req.header('content-type') ?? '')) {
        return answerRefusal(c, {
          code: 'unsupported_media_type',
          detail: 'Send the message as a form, application/x-www-form-urlencoded, as Twilio does. Nothing was stored.',
        })
      }
      const parameters = new URLSearchParams(raw.toString('utf8'))
      // Behind a proxy the server is reached under another address; Twilio signs the one that people and it know.
      const { pathname, search } = new URL(c.req.url)
      const request = { url: settings.publicUrl + pathname + search, parameters }
      if (!isSignedByTwilio(c.req.header('x-twilio-signature') ?? '', request, settings.tokens)) {
        return answerRefusal(c, {
          code: 'invalid_signature',
          detail: `The signature does not match. Check the auth token, and that ${settings.publicUrl}${pathname} is the address that is set at Twilio. Nothing was stored.`,
          field: 'X-Twilio-Signature',
        })
      }
      const message = fit(twilioMessage, Object.fromEntries(parameters))
      const sms = {
        id: message.MessageSid,
        to: message.To,
        // PostgreSQL's text cannot hold a zero character; a phone network can send one.
        from: message.From.replaceAll('\0', ''),
        text: message.Body.replaceAll('\0', ''),
      }
      await orders.accept({
        source: 'twilio',
        externalId: sms.id,
        to: sms.to,
        from: sms.from,
        text: sms.text,
        body: JSON.stringify({ ...sms, account: message.AccountSid, media: message.NumMedia }),
      })
      return c.body(EMPTY_TWIML, 200, { 'content-type': 'text/xml; charset=utf-8' })
    },
  )
}

/** Null: the signature is right. Otherwise what is wrong with it, in words for the sender's developer. */
function verifySignature(
  header: string,
  raw: Buffer,
  settings: { secrets: readonly string[]; clock: WireClock },
): string | null {
  const stamp = /(?:^|,)\s*t=(\d{1,12})(?:,|$)/.exec(header)?.[1]
  const given = [...header.matchAll(/(?:^|,)\s*v1=([0-9a-f]{64})(?=,|$)/g)].map((match) =>
    Buffer.from(match[1]!, 'hex'),
  )
  if (stamp === undefined || given.length === 0) {
    return 'The header X-Signature must read t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">. Nothing was stored.'
  }
  const ageSeconds = Math.abs(settings.clock.now().getTime() / 1000 - Number(stamp))
  if (ageSeconds > SIGNATURE_TOLERANCE_SECONDS) {
    return `The timestamp of the signature is more than ${SIGNATURE_TOLERANCE_SECONDS} seconds from now. Sign again with the current time. Nothing was stored.`
  }
  const right = settings.secrets.some((secret) => {
    const expected = createHmac('sha256', secret).update(`${stamp}.`).update(raw).digest()
    return given.some((candidate) => timingSafeEqual(candidate, expected))
  })
  return right
    ? null
    : 'The signature does not match the body. Sign the bytes exactly as they are sent. Nothing was stored.'
}
