/**
 * How Twilio hands in an incoming message: a form, signed with the account's auth token over the address that is set there and the
 * form's fields. Source: twilio.com/docs/messaging/guides/webhook-request and twilio.com/docs/usage/webhooks/webhooks-security
 */
import { createHash, createHmac } from 'node:crypto'

const ACCOUNT = `AC${'0'.repeat(32)}`
/** Of a message in GSM letters; longer ones go in parts of 153. */
const SEGMENT_LENGTH = 160
const PART_LENGTH = 153

/** Where it goes and what is sent. `called` is the address as people know it, which is what is signed. */
export function asTwilioSends(
  sms: { id: string; to: string; from: string; text: string },
  { called, token }: { called: string; token: string },
): { headers: Record<string, string>; body: string } {
  const sid = messageSid(sms.id)
  const fields: Record<string, string> = {
    AccountSid: ACCOUNT,
    ApiVersion: '2010-04-01',
    Body: sms.text,
    From: sms.from,
    MessageSid: sid,
    NumMedia: '0',
    NumSegments: String(sms.text.length <= SEGMENT_LENGTH ? 1 : Math.ceil(sms.text.length / PART_LENGTH)),
    SmsMessageSid: sid,
    SmsSid: sid,
    SmsStatus: 'received',
    To: sms.to,
  }
  const signed = Object.keys(fields)
    .sort()
    .reduce((text, name) => text + name + fields[name], called)
  return {
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      'x-twilio-signature': createHmac('sha1', token).update(signed).digest('base64'),
    },
    body: new URLSearchParams(fields).toString(),
  }
}

/** The same id again is the same message. */
function messageSid(id: string): string {
  return /^SM[0-9a-f]{32}$/.test(id) ? id : `SM${createHash('md5').update(id).digest('hex')}`
}
