/** Usernames and e-mail addresses: which can be had, and why not. */
import type { Refused } from '../platform/answer.ts'

export const USERNAME_CHARACTERS_MIN = 3
export const USERNAME_CHARACTERS_MAX = 30
/** Source: RFC 5321, 4.5.3.1.3, less the angle brackets. */
export const EMAIL_CHARACTERS_MAX = 254

/** Names that a customer would take for the house itself, or for a part of a web address. */
const reserved = new Set(
  (
    'abuse account accounts admin administrator anonymous api approver audit auth billing contact customer customers demo ' +
    'example finance guest help helpdesk info legal login mail me mobilesms moderator news noreply no_reply no.reply nobody null ' +
    'official operator owner password payment payments postmaster privacy refund refunds register root sales sandbox security ' +
    'settings signin signup staff status stripe superuser support sysadmin system team terms test undefined user users ' +
    'webmaster www'
  ).split(' '),
)

/**
 * A username as it is kept: in lower case. Refused: other characters than a-z, 0-9, dot and underscore; names of the house, but to its
 * own staff.
 */
export function readUsername(
  given: string,
  who: 'customer' | 'staff' = 'customer',
): { ok: true; username: string } | ({ ok: false } & Refused) {
  const refuse = (code: Refused['code'], detail: string) => ({ ok: false as const, code, detail, field: 'username' })
  // Only what stands on every keyboard: letters of other alphabets look like these, and would pass for somebody else's name.
  if (!/^[A-Za-z0-9._]*$/.test(given)) {
    return refuse(
      'invalid_request',
      'A username has letters from a to z, digits, dots and underscores only. Choose one without other characters, spaces and letters of other alphabets; nothing was stored.',
    )
  }
  if (given.length < USERNAME_CHARACTERS_MIN || given.length > USERNAME_CHARACTERS_MAX) {
    return refuse(
      'invalid_request',
      `A username has ${USERNAME_CHARACTERS_MIN} to ${USERNAME_CHARACTERS_MAX} characters. Choose another one; nothing was stored.`,
    )
  }
  const username = given.toLowerCase()
  if (!/[a-z0-9]/.test(username)) {
    return refuse(
      'invalid_request',
      'A username has at least one letter or digit. Choose another one; nothing was stored.',
    )
  }
  if (who === 'staff') return { ok: true, username }
  const plain = username.replace(/^[._]+|[._]+$/g, '')
  if (reserved.has(username) || reserved.has(plain) || /^(mobilesms|admin|support|staff)(?![a-z])/.test(plain)) {
    return refuse(
      'username_taken',
      `The name ${username} is kept for the house, so that nobody takes a customer for it. Choose another one; nothing was stored.`,
    )
  }
  return { ok: true, username }
}

/**
 * An e-mail address as it is kept: as it was given, without blanks around it. Whether it exists is found out by writing to it; here
 * only what cannot be one is refused.
 */
export function readEmail(given: string): { ok: true; email: string } | ({ ok: false } & Refused) {
  const email = given.trim()
  const refuse = (detail: string) => ({ ok: false as const, code: 'invalid_request' as const, detail, field: 'email' })
  if (email.length > EMAIL_CHARACTERS_MAX) {
    return refuse(
      `An e-mail address has at most ${EMAIL_CHARACTERS_MAX} characters, and this one has ${email.length}. Check it; nothing was stored.`,
    )
  }
  if (!plainEmail.test(email)) {
    return refuse(
      'This is not an e-mail address such as ana@example.com. Check it for spaces, missing parts and letters of other alphabets; nothing was stored.',
    )
  }
  return { ok: true, email }
}

const local = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
const plainEmail = new RegExp(`^(?=[^@]{1,64}@)${local}@(?:${label}\\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])$`)
