/** Settings and API keys over HTTP. A key opens none of this: who has one must not be able to make himself another. */
import { z } from 'zod'
import { apiKeySchema, keyId, keyScopes, newApiKeySchema, pageOf, settingsSchema } from '../../contract/contract.ts'
import { readAmount, type Usd } from '../../contract/money.ts'
import {
  answerRefusal,
  printCursor,
  Refusal,
  type Refused,
  readCursor,
  readIdempotencyKey,
  readLimit,
} from '../platform/answer.ts'
import { wireClock } from '../platform/clock.ts'
import { readId } from '../platform/ids.ts'
import type { Accounts, Routes } from './accounts.ts'
import { ADDRESSES_MAX, KEY_LIFE_DAYS_MAX, KEYS_MAX, readAddresses } from './keys.ts'

const PLAIN_TEXT = 'it has characters that cannot be printed'
/** What people write and others read: no controls, nothing invisible, nothing that turns the direction of what follows. */
const plainText = (charactersMax: number) =>
  z
    .string()
    .trim()
    .max(charactersMax)
    .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]*$/u, PLAIN_TEXT)

const settingsBody = z.object({
  time_zone: z.string().max(64).optional().meta({ example: 'Europe/Berlin' }),
  company: plainText(120).nullish().meta({ description: 'Empty or null: none' }),
  tax_id: plainText(40).nullish().meta({ description: 'Empty or null: none' }),
  mails: z.object({ receipts: z.boolean().optional(), sign_ins: z.boolean().optional() }).optional(),
})

const keyBody = z.object({
  name: plainText(60).pipe(z.string().min(1)),
  scopes: z.array(z.enum(keyScopes)).min(1, 'name at least one scope').max(10),
  daily_cap: z
    .unknown()
    .optional()
    .meta({
      override: { $ref: '#/components/schemas/Amount' },
      description: 'What its orders of one of your days may cost together',
    }),
  addresses: z
    .array(z.string().max(64))
    .max(ADDRESSES_MAX, `at most ${ADDRESSES_MAX} addresses and networks`)
    .nullish()
    .meta({
      description: 'Addresses and networks, IPv4 or IPv6; none: anywhere',
      example: ['192.0.2.7', '2001:db8::/32'],
    }),
  expires_at: z.iso
    .datetime({ offset: true, error: 'write a time such as 2027-11-23T00:00:00Z' })
    .nullish()
    .meta({ description: 'Absent or null: never' }),
})

const whichKeys = z.object({ status: z.enum(['works', 'ended']).optional() })

const unknownKey: Refused = {
  code: 'not_found',
  detail: 'There is no such API key among yours. Check the id.',
  field: 'id',
}

export function settingsRoutes(table: Routes, { settings, keys }: Pick<Accounts, 'settings' | 'keys'>): void {
  table.get(
    '/api/v1/settings',
    { policy: 'session', summary: 'Read your settings', answers: { 200: settingsSchema } },
    async (c) => c.json(await settings.of(c.get('caller').accountId)),
  )

  table.patch(
    '/api/v1/settings',
    {
      policy: 'session',
      summary: 'Change your settings',
      description:
        'What is absent stays as it is. Times on every page, and the days of filters and caps, follow the time zone at once.',
      body: settingsBody,
      example: { time_zone: 'Europe/Berlin' },
      answers: { 200: settingsSchema },
    },
    async (c, { body }) => {
      const changed = await settings.change(c.get('caller').accountId, {
        timeZone: body.time_zone,
        company: body.company,
        taxId: body.tax_id,
        mails: body.mails,
      })
      return changed.ok ? c.json(changed.settings) : answerRefusal(c, changed)
    },
  )

  table.get(
    '/api/v1/keys',
    {
      policy: 'session',
      summary: 'List your API keys',
      description: 'Newest first, without the keys themselves, which nobody knows any more.',
      query: whichKeys,
      list: true,
      answers: { 200: pageOf(apiKeySchema) },
    },
    async (c, { query }) => {
      const page = { limit: readLimit(c), before: readCursor(c, /^\d{1,18}$/), which: query.status }
      const { items, next } = await keys.list(c.get('caller').accountId, page)
      return c.json({ items, next_cursor: next === null ? null : printCursor(next) })
    },
  )

  table.post(
    '/api/v1/keys',
    {
      policy: 'recent',
      summary: 'Make an API key',
      description: `The answer is the only one that has the key itself. At most ${KEYS_MAX} keys of an account work at the same time. An Idempotency-Key makes one key at most; its repetition is refused, since a key is shown once.`,
      body: keyBody,
      example: { name: 'Server in Frankfurt', scopes: ['read', 'order'], daily_cap: '25.00' },
      idempotent: true,
      answers: { 201: newApiKeySchema },
      refuses: ['invalid_amount', 'too_many_keys'],
    },
    async (c, { body }) => {
      const made = await keys.create(
        c.get('caller').accountId,
        {
          name: body.name,
          scopes: keyScopes.filter((scope) => body.scopes.includes(scope)),
          dailyCap: readCap(body.daily_cap),
          addresses: readAllowed(body.addresses ?? []),
          expiresAt: readEnd(body.expires_at),
        },
        readIdempotencyKey(c),
      )
      return made.ok ? c.json({ ...made.key, key: made.secret }, 201) : answerRefusal(c, made)
    },
  )

  table.post(
    '/api/v1/keys/:id/revoke',
    {
      policy: 'session',
      summary: 'Revoke an API key',
      description:
        'Whatever uses it is refused from now on, and its live updates end. It cannot be taken back. A second time changes nothing.',
      params: { id: keyId },
      answers: { 200: apiKeySchema },
      refuses: ['not_found'],
    },
    async (c) => {
      const id = readId('key', c.req.param('id'))
      const key = id === null ? null : await keys.revoke(c.get('caller').accountId, id)
      return key ? c.json(key) : answerRefusal(c, unknownKey)
    },
  )
}

function readCap(text: unknown): Usd | null {
  if (text === undefined || text === null) return null
  const cap = readAmount(text)
  if (cap !== null && cap > 0n) return cap
  throw new Refusal({
    code: 'invalid_amount',
    detail:
      'The daily cap is a decimal string in dollars with at most two decimals, above zero, such as "25.00". No key was made.',
    field: 'daily_cap',
  })
}

function readAllowed(texts: readonly string[]): string[] {
  const read = readAddresses(texts)
  if (read.ok) return read.addresses
  throw new Refusal({
    code: 'invalid_request',
    detail: `"${read.text.slice(0, 64)}" is neither an address nor a network. Write it as 192.0.2.7, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32. No key was made.`,
    field: 'addresses',
  })
}

function readEnd(text: string | null | undefined): Date | null {
  if (text === undefined || text === null) return null
  const end = new Date(text)
  const leftMs = end.getTime() - wireClock.now().getTime()
  if (leftMs > 0 && leftMs <= KEY_LIFE_DAYS_MAX * 86_400_000) return end
  throw new Refusal({
    code: 'invalid_request',
    detail: `A key's end is in the future, at most ${KEY_LIFE_DAYS_MAX} days from now. Choose another, or none; no key was made.`,
    field: 'expires_at',
  })
}
