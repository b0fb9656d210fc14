/**
 * Twilio's webhook for incoming messages, as Twilio signs and sends it. Pure: reads and verifies, stores nothing.
 * Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security and https://www.twilio.com/docs/messaging/guides/webhook-request
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/** The answer that sends nobody a reply. */
export const EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'

/** What we need of a message; Twilio sends more, and adds to it without notice. */
export const twilioMessage = z.object({
  // Exactly: what is signed has no bounds between fields, so a longer one could be the same message, taken for another.
  MessageSid: z
    .string()
    .regex(/^[A-Z]{2}[0-9a-f]{32}$/, 'write the id of the message as Twilio does, SM and 32 digits'),
  To: z.string().regex(/^\+[1-9]\d{6,14}$/, 'write the number as +, country code and digits'),
  From: z.string().min(1).max(64),
  /** A message of nothing but media has none. */
  Body: z.string().default(''),
  /** For the evidence; the media themselves stay where they are. */
  AccountSid: z.string().max(64).optional(),
  NumMedia: z.string().max(4).optional(),
})

/**
 * Whether the header X-Twilio-Signature was made with one of the tokens: base64 of the HMAC-SHA1 over the address that Twilio called,
 * query included, and behind it each parameter's name and value, in the order of the names; of a parameter that comes more than once
 * each different value in order. Twilio may or may not write the port of the address, so either counts.
 */
export function isSignedByTwilio(
  signature: string,
  request: { url: string; parameters: URLSearchParams },
  tokens: readonly string[],
): boolean {
  const given = Buffer.from(signature)
  const parameters = [...new Set(request.parameters.keys())]
    .sort()
    .flatMap((name) => [...new Set(request.parameters.getAll(name))].sort().map((value) => name + value))
    .join('')
  return tokens.some((token) =>
    withAndWithoutPort(request.url).some((url) => {
      const digest = createHmac('sha1', token).update(url + parameters)
      const expected = Buffer.from(digest.digest('base64'))
      return given.length === expected.length && timingSafeEqual(given, expected)
    }),
  )
}

function withAndWithoutPort(url: string): string[] {
  const [, scheme, host, port, rest] = /^(https?):\/\/(\[[^\]]*\]|[^/:?#]*)(?::(\d+))?(.*)$/s.exec(url)!
  const standard = scheme === 'https' ? '443' : '80'
  return [`${scheme}://${host}${rest}`, `${scheme}://${host}:${port ?? standard}${rest}`]
}
