/** What is for sale: services, countries, prices, and how many numbers are free for each. */
import type { Country, Favourite, Price, Service } from '../../contract/contract.ts'
import { micros, printAmount } from '../../contract/money.ts'
import { beginsWordOf, meansCountry, searchWords } from '../../contract/search.ts'
import { wireClock } from '../platform/clock.ts'
import type { Database } from '../platform/db.ts'

/** Rates are read over this long. Unit: days. */
const SUCCESS_DAYS = 30
/** How old the figures of a price may be: anybody may ask for them, as often as he likes. Units: milliseconds. */
const STOCK_FRESH_MS = 1_000
const SUCCESS_FRESH_MS = 60_000
/** Words of a search beyond these are not looked at. */
const SEARCH_WORDS_MAX = 8

export type PriceFilter = {
  service?: string | undefined
  country?: string | undefined
  /** Each word begins a word of the service's or the country's name, or is its code or dial code. */
  search?: string | undefined
  limit: number
  /** Where the page before ended. */
  after: Favourite | null
}

export type Catalogue = ReturnType<typeof createCatalogue>

export function createCatalogue({ database }: { database: Database }) {
  const { pool } = database
  const readStock = keptFresh(STOCK_FRESH_MS, async () => {
    const { rows } = await pool.query<{ service: string; country: string; free: number }>(
      `select o.service, o.country, count(*)::int as free
         from offers o join numbers n on n.id = o.number_id
        where o.free_from <= house_now() and n.order_id is null
        group by o.service, o.country`,
    )
    return new Map(rows.map((row) => [pairKey(row), row.free]))
  })
  /** Of the numbers given in the last 30 days whose order has ended or has its code: how many got one. */
  const readSuccess = keptFresh(SUCCESS_FRESH_MS, async () => {
    const { rows } = await pool.query<{ service: string; country: string; codes: number; ended: number }>(
      `select service, country, count(received_at)::int as codes, count(*)::int as ended
         from orders
        where status <> 'waiting' and given_at > house_now() - make_interval(days => $1)
        group by service, country`,
      [SUCCESS_DAYS],
    )
    return new Map(rows.map((row) => [pairKey(row), row]))
  })

  async function services(): Promise<Service[]> {
    return (await pool.query('select code, name from services order by name')).rows
  }

  async function countries(): Promise<Country[]> {
    return (await pool.query('select code, name, dial_code from countries order by name')).rows
  }

  return {
    services,
    countries,

    /** Prices with stock (a second old at most) and success rate (a minute), by service and country; or the filter that is not known. */
    async prices(filter: PriceFilter): Promise<Price[] | 'unknown_service' | 'unknown_country'> {
      const unknown = await unknownIn(database, filter)
      if (unknown) return unknown
      const words = searchWords(filter.search ?? '').slice(0, SEARCH_WORDS_MAX)
      const values: unknown[] = []
      const value = (given: unknown) => `$${values.push(given)}`
      const conditions = ['true']
      if (filter.service !== undefined) conditions.push(`service = ${value(filter.service)}`)
      if (filter.country !== undefined) conditions.push(`country = ${value(filter.country)}`)
      if (filter.after)
        conditions.push(`(service, country) > (${value(filter.after.service)}, ${value(filter.after.country)})`)
      if (words.length > 0) {
        const [allServices, allCountries] = await Promise.all([services(), countries()])
        for (const word of words) {
          const meant = [
            allServices.filter((service) => beginsWordOf(service.name, word) || service.code === word),
            allCountries.filter((country) => meansCountry(country, word)),
          ].map((list) => list.map(({ code }) => code))
          conditions.push(`(service = any(${value(meant[0])}) or country = any(${value(meant[1])}))`)
        }
      }
      const [{ rows }, stock, success] = await Promise.all([
        pool.query<Favourite & { price: string }>(
          `select service, country, price from prices where ${conditions.join(' and ')}
            order by service, country limit ${value(filter.limit)}`,
          values,
        ),
        readStock(),
        readSuccess(),
      ])
      return rows.map((row) => {
        const { codes, ended } = success.get(pairKey(row)) ?? { codes: 0, ended: 0 }
        return {
          service: row.service,
          country: row.country,
          price: printAmount(micros(row.price)),
          in_stock: stock.get(pairKey(row)) ?? 0,
          success_rate: ended === 0 ? null : codes / ended,
          success_base: ended,
        }
      })
    },
  }
}

/** Which of the two is asked for and not known; null: all is known. */
export async function unknownIn(
  { pool }: Database,
  { service, country }: { service?: string | undefined; country?: string | undefined },
): Promise<'unknown_service' | 'unknown_country' | null> {
  if (service === undefined && country === undefined) return null
  const { rows } = await pool.query<{ service: boolean; country: boolean }>(
    `select $1::text is null or exists (select from services where code = $1) as service,
            $2::text is null or exists (select from countries where code = $2) as country`,
    [service ?? null, country ?? null],
  )
  if (!rows[0]!.service) return 'unknown_service'
  return rows[0]!.country ? null : 'unknown_country'
}

function pairKey({ service, country }: Favourite): string {
  return `${service} ${country}`
}

/** One reading for all who ask while it is fresh, and for all who ask while it is under way. */
function keptFresh<Value>(freshMs: number, read: () => Promise<Value>): () => Promise<Value> {
  let kept: { value: Value; at: number } | null = null
  let reading: Promise<Value> | null = null
  const now = () => wireClock.now().getTime()
  return async () => {
    if (kept && now() - kept.at < freshMs) return kept.value
    reading ??= read()
      .then((value) => {
        kept = { value, at: now() }
        return value
      })
      .finally(() => {
        reading = null
      })
    return reading
  }
}

/**
 * The catalogue and the numbers that a sandbox starts with: 12 services, 8 countries, 480 numbers, each offered for every service.
 * Safe to repeat.
 */
export async function seedCatalogue({ database }: { database: Database }): Promise<void> {
  await database.transaction(async (tx) => {
    for (const [code, name, pattern] of seedServices) {
      await tx.query('insert into services (code, name, sender_pattern) values ($1, $2, $3) on conflict do nothing', [
        code,
        name,
        pattern,
      ])
    }
    for (const [code, name, dialCode] of seedCountries) {
      await tx.query('insert into countries (code, name, dial_code) values ($1, $2, $3) on conflict do nothing', [
        code,
        name,
        dialCode,
      ])
    }
    await tx.query(
      `insert into prices (service, country, price, valid_from)
       select d.service, d.country, d.cents * 10000, house_now()
         from unnest($1::text[], $2::text[], $3::int[]) d(service, country, cents)
           on conflict do nothing`,
      [
        seedDeals.map(([service]) => service),
        seedDeals.map(([, country]) => country),
        seedDeals.map(([, , cents]) => cents),
      ],
    )
    await tx.query(
      `insert into prices (service, country, price, valid_from)
       select s.code, c.code, (s.cents + c.cents) * 10000, house_now()
         from unnest($1::text[], $2::int[]) s(code, cents), unnest($3::text[], $4::int[]) c(code, cents)
           on conflict do nothing`,
      [
        seedServices.map(([code]) => code),
        seedServices.map(([, , , cents]) => cents),
        seedCountries.map(([code]) => code),
        seedCountries.map(([, , , , cents]) => cents),
      ],
    )
    await tx.query(
      `insert into numbers (phone_number, country)
       select prefix || n, code
         from unnest($1::text[], $2::text[]) c(code, prefix), generate_series(101, 100 + $3::int) n
           on conflict do nothing`,
      [seedCountries.map(([code]) => code), seedCountries.map(([, , , prefix]) => prefix), NUMBERS_PER_COUNTRY],
    )
    await tx.query(
      `insert into offers (number_id, service, country)
       select n.id, s.code, n.country from numbers n cross join services s on conflict do nothing`,
    )
  })
}

const NUMBERS_PER_COUNTRY = 60

/** Pairs whose price is not the sum below, so that no one country is the cheapest for everything. service, country, cents. */
const seedDeals: [string, string, number][] = [
  ['amazon', 'PL', 24],
  ['microsoft', 'NL', 19],
  ['discord', 'ES', 21],
  ['uber', 'PL', 27],
  ['tiktok', 'ES', 29],
  ['apple', 'NL', 58],
  ['signal', 'PL', 69],
  ['facebook', 'ES', 34],
]

/** code, name, who writes for it, cents. */
const seedServices: [string, string, string, number][] = [
  ['telegram', 'Telegram', '^telegram$', 80],
  ['whatsapp', 'WhatsApp', '^whats ?app$', 95],
  ['google', 'Google', '^(google|g-?mail|youtube)$', 45],
  ['facebook', 'Facebook', '^(facebook|fb)$', 35],
  ['instagram', 'Instagram', '^instagram$', 40],
  ['tiktok', 'TikTok', '^tik ?tok$', 30],
  ['amazon', 'Amazon', '^amazon$', 25],
  ['microsoft', 'Microsoft', '^(microsoft|outlook)$', 20],
  ['discord', 'Discord', '^discord$', 22],
  ['uber', 'Uber', '^uber$', 28],
  ['apple', 'Apple', '^apple$', 60],
  ['signal', 'Signal', '^signal$', 70],
]

/**
 * code, name, dial code, first digits of the numbers (three more follow), cents on top of the service. Where a regulator keeps a range
 * for fiction (GB, US, FR), the numbers are from there.
 */
const seedCountries: [string, string, string, string, number][] = [
  ['GB', 'United Kingdom', '+44', '+447700900', 40],
  ['US', 'United States', '+1', '+12125550', 55],
  ['DE', 'Germany', '+49', '+491713920', 70],
  ['FR', 'France', '+33', '+33639980', 65],
  ['NL', 'Netherlands', '+31', '+31657600', 50],
  ['PL', 'Poland', '+48', '+48500900', 25],
  ['ES', 'Spain', '+34', '+34600000', 35],
  ['IN', 'India', '+91', '+919000000', 5],
]
