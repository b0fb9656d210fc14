/**
 * Mail: letters are written into an outbox in the transaction of their cause, and sent from there.
 */
import type { Queryable } from './db.ts'
import { newId } from './ids.ts'
import { type Letter, type Letterhead, printLetter } from './letter.ts'

export type Mail = ReturnType<typeof createMail>

/** A room that writes letters needs no more. */
export type Outbox = Pick<Mail, 'send'>

export function createMail(settings: { letterhead: Letterhead }) {
  return {
    /**
     * Writes a letter into the outbox, inside the caller's transaction (of either role of the server). It leaves within a second or
     * two of the commit. With `once`, a cause in up to 200 characters (`receipt:<top-up>`), a second letter of the same cause is not
     * written; the key is kept for good, so it must hold no secret and no address.
     */
    async send(tx: Queryable, mail: { to: string; letter: Letter; accountId?: bigint; once?: string }): Promise<void> {
      const { subject, text, html } = printLetter(mail.letter, settings.letterhead)
      await tx.query('select public.mail_post($1, $2, $3, $4, $5, $6, $7, $8)', [
        newId(),
        mail.accountId ?? null,
        mail.to,
        subject,
        text,
        html,
        mail.letter.canSwitchOff ?? false,
        mail.once ?? null,
      ])
    },
  }
}
