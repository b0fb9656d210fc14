/**
 * Every setting, read once from the environment, and refused at the start when it is wrong: all problems together, each in a sentence
 * that names the variable and says what to do.
 */
import { isIP } from 'node:net'
import { join } from 'node:path'
import { printAmount, readAmount, type Usd, usd } from '../contract/money.ts'
import { CARD_LIMITS, type CardLimits } from './payments/card/limits.ts'
import { type ChainName, type Family, networks } from './payments/crypto/assets.ts'
import { readKey } from './payments/crypto/descriptor.ts'
import { RATE_SOURCES, type RateSource } from './payments/crypto/rate-sources.ts'
import { isSandboxKey, sandboxKeys } from './payments/crypto/sandbox-keys.ts'
import type { SmtpSettings } from './platform/mail.ts'

export type Config = {
  /**
   * MODE: `sandbox` (pretend money, seeded logins, a clock that can be moved) or `production`. Default: `production` when
   * STRIPE_SECRET_KEY is a live key, else `sandbox`. Each refuses what belongs to the other.
   */
  mode: 'sandbox' | 'production'
  /**
   * ROLE: what this process does: `web` (requests, live pages), `worker` (jobs and ticks; on PORT only /healthz, /readyz, /metrics) or
   * `all` (both), the default. Any number of each may stand beside one another on one database.
   */
  role: 'all' | 'web' | 'worker'
  /** HOST: the address to listen on. Default 127.0.0.1: only programs of this machine reach the server. */
  host: string
  /** PORT: 0 to 65535, default 3000; 0 takes any free one. */
  port: number
  /** SANDBOX_PORT: where the sandbox listens, always on 127.0.0.1. Default PORT + 1. The pages link its control desk. */
  sandboxPort: number
  /** PUBLIC_URL: the origin people type, without a path. Default http://localhost:PORT. https in production. */
  publicUrl: string
  /**
   * TRUST_PROXY: how many proxies of ours stand before the server, 0 to 5, default 0. Each adds one address to X-Forwarded-For;
   * what stands before those was written by the client and is not believed.
   */
  trustProxy: number
  /** DATABASE_URL: PostgreSQL 15 or newer. Required; `npm start` gives the embedded one. */
  databaseUrl: string
  /** MIGRATION_DATABASE_URL: the owner's login, where it is another one. Default: DATABASE_URL. */
  migrationDatabaseUrl: string
  /** AUTH_SECRET: keys the hashes by which sessions are known. Required, 32 characters or more; changing it signs everybody out. */
  authSecret: string
  stripe: {
    /** STRIPE_SECRET_KEY: sk_test_… or rk_test_… in sandbox mode, sk_live_… or rk_live_… in production. Required. */
    secretKey: string
    /** STRIPE_WEBHOOK_SECRETS: a comma list of whsec_…, 1 to 5: old and new stand side by side while one is replaced. Required. */
    webhookSecrets: string[]
    /** STRIPE_API_URL: where the API is, sandbox mode only. Default: null, Stripe's own address. */
    apiUrl: string | null
  }
  /** SMS_WEBHOOK_SECRETS: a comma list of 1 to 5 secrets that sign inbound SMS; in production 24 characters or more. Required. */
  smsWebhookSecrets: string[]
  /**
   * TWILIO_AUTH_TOKENS: a comma list of 1 to 5 auth tokens of the Twilio accounts whose messages are taken at /webhooks/sms/twilio; in
   * production 24 characters or more. Default: none, and that door is closed. Twilio signs the address that it calls, so PUBLIC_URL must
   * be the one that is set there.
   */
  twilioAuthTokens: string[]
  /**
   * TOPUP_MINIMUM and TOPUP_MAXIMUM: dollars, whole cents, defaults 5.00 and 1000.00.
   * Source: the house's first rule. The card company itself takes nothing below 0.50 and nothing above 999,999.99.
   */
  topup: { minimum: Usd; maximum: Usd }
  /**
   * Against card testing. CARD_PAGES_PER_HOUR, CARD_PAGES_PER_NETWORK_PER_HOUR, CARD_CARDS_PER_DAY, CARD_DECLINES_PER_DAY,
   * CARD_CUSTOMERS_PER_CARD_PER_DAY, CARD_OPEN_TOPUPS, CARD_BREAKER_ATTEMPTS: 1 to 1000000. CARD_BREAKER_DECLINES_PERCENT: 1 to 100.
   * CARD_BREAKER_PAUSE_SECONDS: 60 to 604800. Defaults and what each means: CARD_LIMITS. In sandbox mode the counts are 10000 unless
   * they are set: there cards are declined on purpose, and all customers come from one machine.
   */
  cards: CardLimits
  /** What is paid with on chains. A network is offered that has nodes and a key; none of them set: cards only. */
  crypto: {
    networks: {
      name: ChainName
      /**
       * BITCOIN_RPC_URLS, LITECOIN_RPC_URLS, ETHEREUM_RPC_URLS: comma lists of 1 to 5 nodes in the order of preference, with their
       * credentials in the URL (`http://user:password@127.0.0.1:8332`). Plain http only to this machine and on private networks: whoever
       * can change what a node says can invent payments. Sandbox mode: nodes of this machine only. Default: none.
       */
      urls: string[]
      /**
       * BITCOIN_KEY, LITECOIN_KEY, EVM_KEY (one for all networks of Ethereum's kind): the extended public key of an account (xpub…, ypub…,
       * zpub…), or a descriptor of one. Required with nodes; default in sandbox mode: the sandbox's. Here as a descriptor.
       */
      key: string
      /** BITCOIN_EXPLORER, LITECOIN_EXPLORER, ETHEREUM_EXPLORER: the address of a transaction, with `{txid}` in it. Default: none. */
      explorer: string | null
    }[]
    /**
     * RATE_URLS: where the prices are asked, sandbox mode only: three URLs, instead of Kraken, Coinbase and Bitstamp in this order. Default
     * there: the sandbox's. Null: the sources themselves.
     */
    rateUrls: Record<RateSource, string> | null
  }
  /** SECOND_PERSON_ABOVE: what goes back by a chain, or is credited by decision, needs two people above this. Dollars, default 20.00. */
  secondPersonAbove: Usd
  order: {
    /** ORDER_LIFETIME_SECONDS: how long a number waits for its code. 60 to 86400, default 1200. Source: what the field does. */
    lifetimeSeconds: number
    /** ORDER_CANCEL_AFTER_SECONDS: from when on an order can be cancelled. 0 to its lifetime, default 120. Source: as above. */
    cancelAfterSeconds: number
    /** NUMBER_REST_SECONDS: before a number is sold again for the same service. 0 to 31536000, default 86400. */
    restSeconds: number
    /** ORDER_OPEN_MAX: open orders of one customer. 1 to 10000, default 20. */
    openMax: number
  }
  brand: {
    /** BRAND_NAME: 1 to 40 characters, default MobileSMS. */
    name: string
    /** BRAND_LINK_COLOUR: #rrggbb, at least 4.5:1 on the pages' paper (WCAG 2.2, 1.4.3). Default: null, the look's own. */
    linkColour: string | null
  }
  /** Who sells, as the policies, the foot of every page and the mails say it. Required in production: a buyer must know. */
  seller: {
    /** SELLER_NAME: 1 to 120 characters. Default in sandbox mode: BRAND_NAME. */
    name: string
    /** SELLER_ADDRESS: the postal address in one line, 1 to 200 characters. */
    address: string
    /** SUPPORT_EMAIL: where a person is reached. */
    supportEmail: string
    /** SELLER_TAX_ID: as receipts print it, 1 to 40 characters. Default: none, and receipts say nothing of one. */
    taxId: string | null
  }
  receipt: {
    /**
     * TAX_NOTE: what receipts say about tax, 1 to 300 characters, such as "No VAT on this prepayment; tax is invoiced on use." What
     * holds is a question of law where the seller is. Default: none, and receipts say nothing.
     */
    taxNote: string | null
    /**
     * STATEMENT_TEXT: how a payment reads on the bank's statement, as on the receipt: the shortened descriptor that is set at Stripe, an
     * asterisk and a space, and what we send with each payment, together at most 22 characters of plain Latin. Default in sandbox mode
     * "MOBILESMS* CREDITS", as the sandbox's bank prints it; in production none: Stripe's own setting holds, and receipts do not say it.
     * Source: Stripe, statement descriptors.
     */
    statementText: string | null
  }
  mail: {
    /**
     * SMTP_URL: the mail server that takes our mail, `smtps://user:password@host:465` (TLS at once) or `smtp://…:587` (upgraded by
     * STARTTLS; without TLS only on this machine). Required in production. Sandbox mode: the sandbox's own, smtp://127.0.0.1 and the
     * port after SANDBOX_PORT, or another one of this machine; nothing of a sandbox reaches real people.
     */
    smtp: SmtpSettings
    /** MAIL_FROM: who the letters are from, `Name <name@domain>` or `name@domain`. Required in production. */
    from: { name: string; address: string }
  }
  /**
   * SEAL_FILE: where each head of the ledger's seals is appended, so that the books cannot be rewritten unseen; best on another machine's
   * disk. Each worker needs a file of its own machine. Default: none; `npm start` gives DATA_DIR/seals.log for its embedded database.
   */
  sealFile: string | null
  /**
   * DRAIN_MS: after SIGTERM /readyz answers 503 for so long before the port closes. Set it to longer than your balancer takes to notice.
   * Unit: milliseconds, 0 to 30000. Default 500.
   */
  drainMs: number
  /**
   * METRICS_TOKEN: who sends it as `Authorization: Bearer …` may read /metrics from another machine. 24 to 200 characters. Default:
   * none, and only programs of this machine may.
   */
  metricsToken: string | null
  /** WEB_DIST: the folder of the built pages. Default: dist/web in the checkout. */
  webFolder: string
  /** LOG_LEVEL: trace, debug, info, warn, error, fatal or silent; default info. */
  logLevel: string
}

export type ConfigRead = { ok: true; config: Config } | { ok: false; problems: string[] }

/** The pages' light paper. Source: the look (web/ui/tokens.css). */
const PAPER = '#F3F6F4'
const CONTRAST_MIN = 4.5
const SECRETS_MAX = 5
const NODES_MAX = 5
const SANDBOX_CARD_COUNT = 10_000
/** Reserved for examples (RFC 2606): whatever is answered to it reaches nobody. */
const SANDBOX_DOMAIN = 'sandbox.example'
/** Stripe refuses < > \ ' " and a second asterisk in it, and wants a letter among what we send. */
const STATEMENT_TEXT = /^(?=.{1,22}$)(?=.*\* .*[A-Za-z])[A-Za-z\d .,&/+-]{2,10}\* [A-Za-z\d .,&/+-]{1,18}$/
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

export function readConfig(env: Record<string, string | undefined>): ConfigRead {
  const problems: string[] = []
  const wrong = (sentence: string) => void problems.push(sentence)
  const text = (name: string) => env[name]?.trim() || null

  function wholeNumber(name: string, range: { min: number; max: number; default: number }): number {
    const value = text(name)
    if (value === null) return range.default
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (number >= range.min && number <= range.max) return number
    wrong(`${name} is "${value}": set it to a whole number from ${range.min} to ${range.max}, or leave it out.`)
    return range.default
  }

  function amount(name: string, fallback: Usd): Usd {
    const value = text(name)
    if (value === null) return fallback
    const read = readAmount(value)
    if (read !== null && read > 0n) return read
    wrong(`${name} is "${value}": set it to an amount in dollars such as "${printAmount(fallback)}", or leave it out.`)
    return fallback
  }

  function secrets(name: string, example: string): string[] {
    const list = (text(name) ?? '').split(',').map((secret) => secret.trim())
    const given = list.filter((secret) => secret !== '')
    if (given.length === 0) wrong(`${name} is missing: set it to ${example}.`)
    if (given.length > SECRETS_MAX)
      wrong(`${name} has ${given.length} secrets: keep at most ${SECRETS_MAX}, the ones in use.`)
    return given
  }

  function databaseUrl(name: string): string | null {
    const value = text(name)
    if (value === null) return null
    if (!/^postgres(ql)?:$/.test(urlOf(value)?.protocol ?? ''))
      wrong(`${name} is not the address of a PostgreSQL database: set it to postgres://user:password@host:5432/name.`)
    return value
  }

  const secretKey = text('STRIPE_SECRET_KEY') ?? ''
  const keyKind = /^[sr]k_(test|live)_./.exec(secretKey)?.[1] ?? null
  const modeText = text('MODE')
  if (modeText !== null && modeText !== 'sandbox' && modeText !== 'production')
    wrong(`MODE is "${modeText}": set it to "sandbox" or "production", or leave it out.`)
  const mode = modeText === 'production' || (modeText === null && keyKind === 'live') ? 'production' : 'sandbox'

  const role = text('ROLE') ?? 'all'
  if (role !== 'all' && role !== 'web' && role !== 'worker')
    wrong(`ROLE is "${role}": set it to "all", "web" or "worker", or leave it out.`)

  const host = text('HOST') ?? '127.0.0.1'
  if (isIP(host) === 0 && host !== 'localhost')
    wrong(`HOST is "${host}": set it to an IP address of this machine, such as 127.0.0.1 or 0.0.0.0.`)
  const port = wholeNumber('PORT', { min: 0, max: 65_535, default: 3000 })
  const sandboxPort = wholeNumber('SANDBOX_PORT', { min: 1, max: 65_535, default: Math.min(port + 1, 65_535) })
  if (port === sandboxPort) wrong(`PORT and SANDBOX_PORT are both ${port}: set one of them to another port.`)
  const publicUrl = (text('PUBLIC_URL') ?? `http://localhost:${port}`).replace(/\/$/, '')
  const publicOrigin = urlOf(publicUrl)
  if (publicOrigin === null || !/^https?:$/.test(publicOrigin.protocol) || publicOrigin.origin !== publicUrl)
    wrong(`PUBLIC_URL is "${publicUrl}": set it to an origin such as https://sms.example, without a path.`)
  const trustProxy = wholeNumber('TRUST_PROXY', { min: 0, max: 5, default: 0 })

  const url = databaseUrl('DATABASE_URL')
  if (url === null) wrong('DATABASE_URL is missing: set it to postgres://user:password@host:5432/name.')
  const migrationUrl = databaseUrl('MIGRATION_DATABASE_URL') ?? url

  const authSecret = text('AUTH_SECRET') ?? ''
  if (authSecret.length < 32)
    wrong('AUTH_SECRET has fewer than 32 characters: set it to a random text, such as `openssl rand -hex 32` prints.')

  if (keyKind === null) wrong('STRIPE_SECRET_KEY is not a secret key of Stripe: set it to sk_… or rk_….')
  const webhookSecrets = secrets('STRIPE_WEBHOOK_SECRETS', 'the signing secret of the webhook at Stripe, whsec_…')
  if (webhookSecrets.some((secret) => !secret.startsWith('whsec_')))
    wrong('STRIPE_WEBHOOK_SECRETS has a secret that does not begin with whsec_: copy it from the webhook at Stripe.')
  const apiUrl = text('STRIPE_API_URL')?.replace(/\/$/, '') ?? null
  if (apiUrl !== null && urlOf(apiUrl)?.origin !== apiUrl)
    wrong(`STRIPE_API_URL is "${apiUrl}": set it to an origin such as http://127.0.0.1:3001, or leave it out.`)
  const smsWebhookSecrets = secrets('SMS_WEBHOOK_SECRETS', 'the secret that your SMS gateway signs with')
  const twilioAuthTokens =
    text('TWILIO_AUTH_TOKENS') === null ? [] : secrets('TWILIO_AUTH_TOKENS', 'the auth token of your Twilio account')

  if (mode === 'production') {
    if (keyKind === 'test')
      wrong('STRIPE_SECRET_KEY is a test key and MODE is production: set it to a live key, or MODE to sandbox.')
    if (webhookSecrets.includes('whsec_sandbox'))
      wrong("STRIPE_WEBHOOK_SECRETS has the sandbox's secret and MODE is production: remove whsec_sandbox.")
    if (smsWebhookSecrets.includes('sms_sandbox'))
      wrong("SMS_WEBHOOK_SECRETS has the sandbox's secret and MODE is production: remove sms_sandbox.")
    else if (smsWebhookSecrets.some((secret) => secret.length < 24))
      wrong('SMS_WEBHOOK_SECRETS has a secret of fewer than 24 characters: whoever guesses it can charge customers.')
    if (twilioAuthTokens.includes('twilio_sandbox'))
      wrong("TWILIO_AUTH_TOKENS has the sandbox's token and MODE is production: remove twilio_sandbox.")
    else if (twilioAuthTokens.some((token) => token.length < 24))
      wrong('TWILIO_AUTH_TOKENS has a token of fewer than 24 characters: copy it whole from the account at Twilio.')
    if (apiUrl !== null) wrong('STRIPE_API_URL is set and MODE is production: remove it, Stripe is at its own address.')
    if (publicOrigin?.protocol === 'http:')
      wrong(`PUBLIC_URL is "${publicUrl}" and MODE is production: set it to the https:// address that people use.`)
  } else if (keyKind === 'live') {
    wrong('STRIPE_SECRET_KEY is a live key and MODE is sandbox: set it to a test key, or MODE to production.')
  }

  const topup = { minimum: amount('TOPUP_MINIMUM', usd('5.00')), maximum: amount('TOPUP_MAXIMUM', usd('1000.00')) }
  if (topup.minimum > topup.maximum)
    wrong(`TOPUP_MINIMUM is ${printAmount(topup.minimum)}: set it to at most TOPUP_MAXIMUM.`)

  const cardCount = (name: string, standard: number) =>
    wholeNumber(name, { min: 1, max: 1_000_000, default: mode === 'sandbox' ? SANDBOX_CARD_COUNT : standard })
  const cards: CardLimits = {
    sessionsPerHourMax: cardCount('CARD_PAGES_PER_HOUR', CARD_LIMITS.sessionsPerHourMax),
    sessionsPerNetworkPerHourMax: cardCount(
      'CARD_PAGES_PER_NETWORK_PER_HOUR',
      CARD_LIMITS.sessionsPerNetworkPerHourMax,
    ),
    cardsPerDayMax: cardCount('CARD_CARDS_PER_DAY', CARD_LIMITS.cardsPerDayMax),
    declinesPerDayMax: cardCount('CARD_DECLINES_PER_DAY', CARD_LIMITS.declinesPerDayMax),
    customersPerCardPerDayMax: cardCount('CARD_CUSTOMERS_PER_CARD_PER_DAY', CARD_LIMITS.customersPerCardPerDayMax),
    openTopupsMax: cardCount('CARD_OPEN_TOPUPS', CARD_LIMITS.openTopupsMax),
    breakerAttemptsMin: cardCount('CARD_BREAKER_ATTEMPTS', CARD_LIMITS.breakerAttemptsMin),
    breakerDeclinesPercentMax: wholeNumber('CARD_BREAKER_DECLINES_PERCENT', {
      min: 1,
      max: 100,
      default: CARD_LIMITS.breakerDeclinesPercentMax,
    }),
    breakerPauseSeconds: wholeNumber('CARD_BREAKER_PAUSE_SECONDS', {
      min: 60,
      max: 604_800,
      default: CARD_LIMITS.breakerPauseSeconds,
    }),
  }

  const secondPersonAbove = amount('SECOND_PERSON_ABOVE', usd('20.00'))
  const crypto = readCrypto({ mode, sandboxPort, text, wrong })

  const lifetimeSeconds = wholeNumber('ORDER_LIFETIME_SECONDS', { min: 60, max: 86_400, default: 1200 })
  const cancelAfterSeconds = wholeNumber('ORDER_CANCEL_AFTER_SECONDS', {
    min: 0,
    max: lifetimeSeconds,
    default: Math.min(120, lifetimeSeconds),
  })
  const restSeconds = wholeNumber('NUMBER_REST_SECONDS', { min: 0, max: 31_536_000, default: 86_400 })
  const openMax = wholeNumber('ORDER_OPEN_MAX', { min: 1, max: 10_000, default: 20 })

  const brandName = text('BRAND_NAME') ?? 'MobileSMS'
  if (brandName.length > 40) wrong(`BRAND_NAME has ${brandName.length} characters: keep it to 40.`)
  const linkColour = text('BRAND_LINK_COLOUR')
  if (linkColour !== null) {
    if (!/^#[0-9a-f]{6}$/i.test(linkColour)) wrong(`BRAND_LINK_COLOUR is "${linkColour}": write it as #rrggbb.`)
    else if (contrast(linkColour, PAPER) < CONTRAST_MIN)
      wrong(
        `BRAND_LINK_COLOUR ${linkColour} has a contrast of ${contrast(linkColour, PAPER).toFixed(2)}:1 on the paper ${PAPER}: ` +
          `choose a darker one, with at least ${CONTRAST_MIN}:1.`,
      )
  }

  const seller = {
    name: text('SELLER_NAME') ?? brandName,
    address: text('SELLER_ADDRESS') ?? 'a sandbox on this machine',
    supportEmail: text('SUPPORT_EMAIL') ?? 'support@sandbox.example',
    taxId: text('SELLER_TAX_ID'),
  }
  if (mode === 'production') {
    if (text('SELLER_NAME') === null)
      wrong('SELLER_NAME is missing: set it to the name of the person or company that sells.')
    if (text('SELLER_ADDRESS') === null) wrong('SELLER_ADDRESS is missing: set it to the postal address of the seller.')
    if (text('SUPPORT_EMAIL') === null)
      wrong('SUPPORT_EMAIL is missing: set it to the address that customers may write to.')
  }
  if (seller.name.length > 120) wrong(`SELLER_NAME has ${seller.name.length} characters: keep it to 120.`)
  if (seller.address.length > 200) wrong(`SELLER_ADDRESS has ${seller.address.length} characters: keep it to 200.`)
  if (!/^[^\s@]{1,64}@[^\s@]{1,190}$/.test(seller.supportEmail))
    wrong(`SUPPORT_EMAIL is "${seller.supportEmail}": set it to an e-mail address such as support@sms.example.`)

  if (seller.taxId !== null && seller.taxId.length > 40)
    wrong(`SELLER_TAX_ID has ${seller.taxId.length} characters: keep it to 40.`)

  const receipt = {
    taxNote: text('TAX_NOTE'),
    statementText: text('STATEMENT_TEXT') ?? (mode === 'sandbox' ? 'MOBILESMS* CREDITS' : null),
  }
  if (receipt.taxNote !== null && receipt.taxNote.length > 300)
    wrong(`TAX_NOTE has ${receipt.taxNote.length} characters: keep it to 300.`)
  if (receipt.statementText !== null && !STATEMENT_TEXT.test(receipt.statementText))
    wrong(
      `STATEMENT_TEXT is "${receipt.statementText}": write the shortened descriptor of your Stripe account (2 to 10 characters), "* " and ` +
        'a word of yours, 22 characters together, such as "MOBILESMS* CREDITS", or leave it out.',
    )

  const smtpUrl = text('SMTP_URL')
  const mailFrom = text('MAIL_FROM')
  const mailServer = readMailServer(smtpUrl ?? `smtp://127.0.0.1:${Math.min(sandboxPort + 1, 65_535)}`)
  if (mailServer === null)
    wrong(
      'SMTP_URL is not the address of a mail server: set it to smtps://user:password@host:465 or smtp://user:password@host:587, ' +
        'with special characters of the password percent-encoded.',
    )
  const sender = mailFrom === null ? { name: brandName, address: `hello@${SANDBOX_DOMAIN}` } : readSender(mailFrom)
  if (sender === null)
    wrong(`MAIL_FROM is "${mailFrom}": set it to an address such as "${brandName} <hello@sms.example>".`)
  if (mode === 'production') {
    if (smtpUrl === null)
      wrong('SMTP_URL is missing: set it to the mail server that takes your mail, smtps://user:password@host:465.')
    if (mailFrom === null)
      wrong('MAIL_FROM is missing: set it to an address of yours, such as "MobileSMS <hello@your-domain>".')
    else if (sender?.address.endsWith(`@${SANDBOX_DOMAIN}`))
      wrong(`MAIL_FROM is "${mailFrom}", the sandbox's, and MODE is production: set it to an address of yours.`)
  } else if (mailServer && !isThisMachine(mailServer.host)) {
    wrong('SMTP_URL leads to another machine and MODE is sandbox: remove it, the sandbox has a mail server of its own.')
  }

  const drainMs = wholeNumber('DRAIN_MS', { min: 0, max: 30_000, default: 500 })
  const metricsToken = text('METRICS_TOKEN')
  if (metricsToken !== null && !/^[\x21-\x7e]{24,200}$/.test(metricsToken))
    wrong('METRICS_TOKEN is not 24 to 200 visible ASCII characters: set it to a random text, or leave it out.')

  const logLevel = text('LOG_LEVEL') ?? 'info'
  if (!LOG_LEVELS.includes(logLevel)) wrong(`LOG_LEVEL is "${logLevel}": set it to one of ${LOG_LEVELS.join(', ')}.`)

  if (problems.length > 0 || url === null || migrationUrl === null || mailServer === null || sender === null)
    return { ok: false, problems }
  return {
    ok: true,
    config: {
      mode,
      role: role as Config['role'],
      host,
      port,
      sandboxPort,
      publicUrl,
      trustProxy,
      databaseUrl: url,
      migrationDatabaseUrl: migrationUrl,
      authSecret,
      stripe: { secretKey, webhookSecrets, apiUrl },
      smsWebhookSecrets,
      twilioAuthTokens,
      topup,
      cards,
      crypto,
      secondPersonAbove,
      order: { lifetimeSeconds, cancelAfterSeconds, restSeconds, openMax },
      brand: { name: brandName, linkColour },
      mail: { smtp: mailServer, from: sender },
      seller,
      receipt,
      sealFile: text('SEAL_FILE'),
      drainMs,
      metricsToken,
      webFolder: text('WEB_DIST') ?? join(import.meta.dirname, '../dist/web'),
      logLevel,
    },
  }
}

/** What is paid with on chains, for the operator's command. */
export function readCryptoSettings(
  env: Record<string, string | undefined>,
): { ok: true; mode: Config['mode']; crypto: Config['crypto'] } | { ok: false; problems: string[] } {
  const from = settingsOf(env)
  const crypto = readCrypto(from)
  return from.problems.length > 0 ? { ok: false, problems: from.problems } : { ok: true, mode: from.mode, crypto }
}

/** The keys alone, each by its setting's name, before there are nodes: to be compared with the wallet. */
export function readKeySettings(
  env: Record<string, string | undefined>,
): { ok: true; keys: { name: string; family: Family; key: string }[] } | { ok: false; problems: string[] } {
  const from = settingsOf(env)
  const keys = readKeys('those that are set', from)
  if (from.problems.length > 0) return { ok: false, problems: from.problems }
  return { ok: true, keys: [...keys].map(([family, key]) => ({ name: keySettings[family], family, key })) }
}

function settingsOf(env: Record<string, string | undefined>) {
  const problems: string[] = []
  const text = (name: string) => env[name]?.trim() || null
  const isLive = /^[sr]k_live_/.test(text('STRIPE_SECRET_KEY') ?? '')
  const mode: Config['mode'] =
    text('MODE') === 'production' || (text('MODE') === null && isLive) ? 'production' : 'sandbox'
  const sandboxPort = Number(text('SANDBOX_PORT') ?? 3001)
  return { problems, mode, sandboxPort, text, wrong: (sentence: string) => void problems.push(sentence) }
}

const keySettings: Readonly<Record<Family, string>> = { btc: 'BITCOIN_KEY', ltc: 'LITECOIN_KEY', evm: 'EVM_KEY' }

/** No sentence repeats a key, or a node's address with what may stand in it. */
function readCrypto(from: {
  mode: Config['mode']
  sandboxPort: number
  text: (name: string) => string | null
  wrong: (sentence: string) => void
}): Config['crypto'] {
  const { mode, sandboxPort, text, wrong } = from
  const withNodes = networks.flatMap((network) => {
    const prefix = network.name.toUpperCase()
    const urls = nodesOf(`${prefix}_RPC_URLS`, from)
    const explorer = text(`${prefix}_EXPLORER`)
    if (explorer !== null && !isExplorer(explorer))
      wrong(
        `${prefix}_EXPLORER is "${explorer}": write the https:// address of a transaction with {txid} where its id stands, or leave it out.`,
      )
    return urls === null ? [] : [{ name: network.name, family: network.family, urls, explorer }]
  })

  const keys = readKeys(new Set(withNodes.map(({ family }) => family)), from)

  const rateUrls = text('RATE_URLS')
    ?.split(',')
    .map((url) => url.trim().replace(/\/$/, ''))
  if (mode === 'production' && rateUrls)
    wrong('RATE_URLS is set and MODE is production: remove it, the prices are asked at their sources.')
  else if (
    rateUrls &&
    (rateUrls.length !== RATE_SOURCES.length || !rateUrls.every((url) => isThisMachine(urlOf(url)?.hostname ?? '')))
  )
    wrong(
      `RATE_URLS is not a list of ${RATE_SOURCES.length} URLs of this machine, for ${RATE_SOURCES.join(', ')}: correct it, or leave it out.`,
    )
  return {
    networks: withNodes.map(({ name, family, urls, explorer }) => ({
      name,
      urls,
      key: keys.get(family) ?? '',
      explorer,
    })),
    rateUrls:
      mode === 'production'
        ? null
        : (Object.fromEntries(
            RATE_SOURCES.map((source, at) => [
              source,
              rateUrls?.[at] ?? `http://127.0.0.1:${sandboxPort}/rates/${source}`,
            ]),
          ) as Record<RateSource, string>),
  }
}

/** The keys of the families that have nodes, as descriptors; or those that are set, before any nodes are. */
function readKeys(
  withNodes: ReadonlySet<Family> | 'those that are set',
  { mode, text, wrong }: Parameters<typeof readCrypto>[0],
): Map<Family, string> {
  const keys = new Map<Family, string>()
  const usedBy = new Map<string, string>()
  for (const family of Object.keys(keySettings) as Family[]) {
    const name = keySettings[family]
    const variables = networks
      .filter((network) => network.family === family)
      .map((network) => `${network.name.toUpperCase()}_RPC_URLS`)
      .join(' or ')
    const given = text(name)
    const isWanted = withNodes === 'those that are set' ? given !== null || mode === 'sandbox' : withNodes.has(family)
    if (given !== null && !isWanted)
      wrong(`${name} is set and ${variables} is not: set it to your nodes, or remove ${name}.`)
    if (given === null && !isWanted) continue
    if (given === null && mode === 'production') {
      wrong(
        `${name} is missing and ${variables} is set: set it to the extended public key of an account in your wallet.`,
      )
      continue
    }
    const read = readKey(family, mode === 'production' ? 'main' : 'test', given ?? sandboxKeys[family])
    if (!read.ok) {
      wrong(`${name} ${read.why}`)
      continue
    }
    const { identity, withOrigin } = read.key
    if (mode === 'production' && isSandboxKey(identity))
      wrong(`${name} is a key of the sandbox, whose seed everybody knows: set it to a key of your own wallet.`)
    const other = usedBy.get(identity)
    if (other)
      wrong(
        `${name} and ${other} are the same key: give each coin an account of its own, or their addresses get mixed up.`,
      )
    usedBy.set(identity, name)
    keys.set(family, withOrigin)
  }
  return keys
}

/** Null: none are set. */
function nodesOf(name: string, { mode, text, wrong }: Parameters<typeof readCrypto>[0]): string[] | null {
  const list = text(name)
  if (list === null) return null
  const urls = list
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '')
  if (urls.length === 0 || urls.length > NODES_MAX)
    wrong(`${name} has ${urls.length} nodes: set it to 1 to ${NODES_MAX} URLs with commas between them, or remove it.`)
  if (new Set(urls).size < urls.length)
    wrong(`${name} names a node twice: name each once, so that two of them can be compared.`)
  for (const [at, written] of urls.entries()) {
    const url = urlOf(written)
    const which = `URL ${at + 1} of ${name}`
    if (url === null || !/^https?:$/.test(url.protocol) || url.hash !== '' || !isDecodable(url)) {
      wrong(
        `${which} is not the address of a node: write http://user:password@host:port, with special characters of the password percent-encoded.`,
      )
      continue
    }
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    if (mode === 'sandbox') {
      if (!isThisMachine(host))
        wrong(`${which} leads to another machine and MODE is sandbox: remove it, the sandbox has chains of its own.`)
    } else if (isThisMachine(host) && /^\/chains\/[a-z]+\/rpc$/.test(url.pathname))
      wrong(`${which} is a chain of the sandbox and MODE is production: set it to a node of yours.`)
    else if (url.protocol === 'http:' && !isThisMachine(host) && !isPrivate(host))
      wrong(
        `${which} is plain http over a public network: whoever stands in between can invent payments. Use https, a private address, or a node on this machine.`,
      )
  }
  return urls
}

function isDecodable(url: URL): boolean {
  try {
    return [url.username, url.password].every((part) => typeof decodeURIComponent(part) === 'string')
  } catch {
    return false
  }
}

/** An address that no public network carries (RFC 1918, RFC 4193), or a name without a dot, as containers have; no public name is one. */
function isPrivate(host: string): boolean {
  if (isIP(host) === 4) return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(host)
  return isIP(host) === 6 ? /^f[cd]/i.test(host) : !host.includes('.')
}

function isExplorer(text: string): boolean {
  const url = urlOf(text.replace('{txid}', '0'))
  return url?.protocol === 'https:' && text.split('{txid}').length === 2 && text.length <= 300
}

/** Null: not readable. TLS is asked of every mail server that is not on this machine. */
function readMailServer(text: string): SmtpSettings | null {
  const url = urlOf(text)
  if (url === null || !/^smtps?:$/.test(url.protocol) || url.hostname === '') return null
  if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '') return null
  if ((url.username === '') !== (url.password === '') || url.port === '0') return null
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const tls = url.protocol === 'smtps:' ? 'at_once' : isThisMachine(host) ? 'none' : 'upgrade'
  try {
    const login = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
    return {
      host,
      port: Number(url.port) || (tls === 'at_once' ? 465 : 587),
      tls,
      login: login.user === '' ? null : login,
    }
  } catch {
    return null
  }
}

function isThisMachine(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host)
}

/** `Name <name@domain>` or the address alone. Null: not readable. */
function readSender(text: string): { name: string; address: string } | null {
  const match = /^(?:"?([^"<>\p{C}]{0,80}?)"?\s*<([^<>]*)>|([^<>\s]*))$/u.exec(text)
  const address = match?.[2] ?? match?.[3] ?? ''
  if (!/^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[a-z\d-]{1,63}\.)+[a-z\d-]{2,63}$/i.test(address)) return null
  return { name: match?.[1]?.trim() ?? '', address }
}

function urlOf(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null
}

/** The contrast of two colours, 1 to 21. Source: WCAG 2.2, "contrast ratio" and "relative luminance". */
function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x)
  return (light! + 0.05) / (dark! + 0.05)
}

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}
