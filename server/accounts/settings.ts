/** What an account says about itself: its time zone, what stands on its receipts, and which mails it wants. */
import type { Settings } from '../../contract/contract.ts'
import type { Refused } from '../platform/answer.ts'
import type { Database, Queryable, Row } from '../platform/db.ts'

/** What may be left out of a person's mails. What guards the account goes always. */
export type MailChoice = 'receipts' | 'sign_ins'

/** What is to be different; what is absent stays. */
export type SettingsChange = {
  timeZone?: string | undefined
  company?: string | null | undefined
  taxId?: string | null | undefined
  mails?: { [choice in MailChoice]?: boolean | undefined } | undefined
}

type SettingsRow = Pick<
  Row<'accounts'>,
  'username' | 'time_zone' | 'company' | 'tax_id' | 'mail_receipts' | 'mail_sign_ins'
> & { email: string }
const COLUMNS = 'username, mail_address_of(id) as email, time_zone, company, tax_id, mail_receipts, mail_sign_ins'

export function createSettings({ database }: { database: Database }) {
  function onWire(row: SettingsRow): Settings {
    return {
      username: row.username,
      email: row.email,
      time_zone: row.time_zone,
      company: row.company,
      tax_id: row.tax_id,
      mails: { receipts: row.mail_receipts, sign_ins: row.mail_sign_ins },
    }
  }

  return {
    async of(accountId: bigint): Promise<Settings> {
      const { rows } = await database.pool.query<SettingsRow>(`select ${COLUMNS} from accounts where id = $1`, [
        accountId,
      ])
      return onWire(rows[0]!)
    },

    /** Changes what is named and answers everything as it is then. Refused: a time zone that is none. */
    async change(
      accountId: bigint,
      change: SettingsChange,
    ): Promise<{ ok: true; settings: Settings } | ({ ok: false } & Refused)> {
      const timeZone = change.timeZone === undefined ? null : readTimeZone(change.timeZone)
      if (change.timeZone !== undefined && timeZone === null) return noTimeZone(change.timeZone)
      try {
        const { rows } = await database.pool.query<SettingsRow>(
          `update accounts
              set time_zone     = coalesce($2, time_zone),
                  company       = case when $3 then $4 else company end,
                  tax_id        = case when $5 then $6 else tax_id end,
                  mail_receipts = coalesce($7, mail_receipts),
                  mail_sign_ins = coalesce($8, mail_sign_ins)
            where id = $1
              and now() at time zone coalesce($2, 'UTC') is not null     -- fails for a zone that the database does not know
           returning ${COLUMNS}`,
          [
            accountId,
            timeZone,
            change.company !== undefined,
            change.company || null,
            change.taxId !== undefined,
            change.taxId || null,
            change.mails?.receipts ?? null,
            change.mails?.sign_ins ?? null,
          ],
        )
        return { ok: true, settings: onWire(rows[0]!) }
      } catch (error) {
        if ((error as { code?: unknown }).code === INVALID_PARAMETER && change.timeZone !== undefined)
          return noTimeZone(change.timeZone)
        throw error
      }
    },

    /** Whether this account wants such a mail. */
    async wantsMail(db: Queryable, accountId: bigint, choice: MailChoice): Promise<boolean> {
      const { rows } = await db.query<{ wanted: boolean }>(
        `select mail_${choice} as wanted from accounts where id = $1`,
        [accountId],
      )
      return rows[0]?.wanted ?? false
    },
  }
}

/** PostgreSQL's word for a time zone that it does not know. */
const INVALID_PARAMETER = '22023'

/**
 * The name of a time zone as the pages and the database know it; null: there is none of that name. Offsets such as `+02:00` are no
 * names: they know no summer, and PostgreSQL reads them the other way round.
 */
function readTimeZone(name: string): string | null {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{1,63}$/.test(name)) return null
  try {
    const known = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone
    // An older name for the same place stays the one that was chosen; only its capitals are put right.
    return known.toLowerCase() === name.toLowerCase() ? known : name
  } catch {
    return null
  }
}

function noTimeZone(name: string): { ok: false } & Refused {
  return {
    ok: false,
    code: 'invalid_request',
    detail: `There is no time zone called "${name.slice(0, 64)}". Choose a name such as "Europe/Berlin" or "UTC"; nothing was changed.`,
    field: 'time_zone',
  }
}
