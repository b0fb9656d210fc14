import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { usd } from '../contract/money.ts'
import { readConfig } from './config.ts'

const sandbox = {
  DATABASE_URL: 'postgres://postgres:secret@127.0.0.1:5432/mobilesms',
  AUTH_SECRET: '0123456789abcdef0123456789abcdef',
  STRIPE_SECRET_KEY: 'sk_test_sandbox',
  STRIPE_WEBHOOK_SECRETS: 'whsec_sandbox',
  STRIPE_API_URL: 'http://127.0.0.1:3001',
  SMS_WEBHOOK_SECRETS: 'sms_sandbox',
}

const production = {
  ...sandbox,
  MODE: 'production',
  PUBLIC_URL: 'https://sms.example',
  STRIPE_SECRET_KEY: 'rk_live_abc',
  STRIPE_WEBHOOK_SECRETS: 'whsec_new,whsec_old',
  STRIPE_API_URL: undefined,
  SMS_WEBHOOK_SECRETS: 'a-secret-of-the-gateway-that-is-long',
  SELLER_NAME: 'Ada Example Ltd',
  SELLER_ADDRESS: '1 Example Street, London',
  SUPPORT_EMAIL: 'help@sms.example',
  SMTP_URL: 'smtps://sms%40example:pass%2Fword@mail.sms.example',
  MAIL_FROM: 'MobileSMS <hello@sms.example>',
}

/** Of the seed that BIP-84 publishes (abandon … about), by path; of Ethereum the seed of development nodes (test … junk). */
const keys = {
  zpub: 'zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs',
  bare: 'xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V',
  private:
    'xprv9ybY78BftS5UGANki6oSifuQEjkpyAC8ZmBvBNTshQnCBcxnefjHS7buPMkkqhcRzmoGZ5bokx7GuyDAiktd5HemohAU4wV1ZPMDRmLpBMm',
  root: 'xpub661MyMwAqRbcFkPHucMnrGNzDwb6teAX1RbKQmqtEF8kK3Z7LZ59qafCjB9eCRLiTVG3uxBxgKvRgbubRhqSKXnGGb1aoaqLrpMBDrVxga8',
  litecoin:
    'Mtub2rz9F1pkisRsSZX8sa4Ajon9GhPP6JymLgpuHqbYdU5JKFLBF7Qy8b1tZ3dccj2fefrAxfrPdVkpCxuWn3g72UctH2bvJRkp6iFmp8aLeRZ',
  ethereum:
    'xpub6C6nQwHaWbSrzs5tZ1q7m5R9cPK9eYpNMFesiXsYrgc1P8bvLLAet9JfHjYXKjToD8cBRswJXXbbFpXgwsswVPAZzKMa1jUp2kVkGVUaJa7',
  sandboxBitcoin:
    'vpub5Y6cjg78GGuNLsaPhmYsiw4gYX3HoQiRBiSwDaBXKUafCt9bNwWQiitDk5VZ5BVxYnQdwoTyXSs2JHRPAgjAvtbBrf8ZhDYe2jWAqvZVnsc',
  sandboxEthereum:
    'xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP',
}

const withBitcoin = { BITCOIN_RPC_URLS: 'http://sms:secret@127.0.0.1:8332', BITCOIN_KEY: keys.zpub }

function problemsOf(env: Record<string, string | undefined>): string[] {
  const read = readConfig(env)
  return read.ok ? [] : read.problems
}

test('what the launcher gives is enough, and the rest has its default', () => {
  const read = readConfig(sandbox)
  assert.ok(read.ok)
  assert.deepEqual(read.config, {
    mode: 'sandbox',
    role: 'all',
    host: '127.0.0.1',
    port: 3000,
    sandboxPort: 3001,
    publicUrl: 'http://localhost:3000',
    trustProxy: 0,
    databaseUrl: sandbox.DATABASE_URL,
    migrationDatabaseUrl: sandbox.DATABASE_URL,
    authSecret: sandbox.AUTH_SECRET,
    stripe: { secretKey: 'sk_test_sandbox', webhookSecrets: ['whsec_sandbox'], apiUrl: 'http://127.0.0.1:3001' },
    smsWebhookSecrets: ['sms_sandbox'],
    twilioAuthTokens: [],
    topup: { minimum: usd('5.00'), maximum: usd('1000.00') },
    cards: {
      sessionsPerHourMax: 10_000,
      sessionsPerNetworkPerHourMax: 10_000,
      cardsPerDayMax: 10_000,
      declinesPerDayMax: 10_000,
      customersPerCardPerDayMax: 10_000,
      openTopupsMax: 10_000,
      breakerAttemptsMin: 10_000,
      breakerDeclinesPercentMax: 40,
      breakerPauseSeconds: 1_800,
    },
    crypto: {
      networks: [],
      rateUrls: {
        kraken: 'http://127.0.0.1:3001/rates/kraken',
        coinbase: 'http://127.0.0.1:3001/rates/coinbase',
        bitstamp: 'http://127.0.0.1:3001/rates/bitstamp',
      },
    },
    secondPersonAbove: usd('20.00'),
    order: { lifetimeSeconds: 1200, cancelAfterSeconds: 120, restSeconds: 86_400, openMax: 20 },
    brand: { name: 'MobileSMS', linkColour: null },
    seller: {
      name: 'MobileSMS',
      address: 'a sandbox on this machine',
      supportEmail: 'support@sandbox.example',
      taxId: null,
    },
    receipt: { taxNote: null, statementText: 'MOBILESMS* CREDITS' },
    mail: {
      smtp: { host: '127.0.0.1', port: 3002, tls: 'none', login: null },
      from: { name: 'MobileSMS', address: 'hello@sandbox.example' },
    },
    sealFile: null,
    drainMs: 500,
    metricsToken: null,
    webFolder: join(import.meta.dirname, '../dist/web'),
    logLevel: 'info',
  })
})

test('production starts with live credentials, several webhook secrets included', () => {
  const read = readConfig(production)
  assert.ok(read.ok, problemsOf(production).join('\n'))
  assert.equal(read.config.mode, 'production')
  assert.deepEqual(read.config.stripe, {
    secretKey: 'rk_live_abc',
    webhookSecrets: ['whsec_new', 'whsec_old'],
    apiUrl: null,
  })
})

test('mail of production goes over TLS, at once or by STARTTLS, except to this machine', () => {
  const smtpOf = (url: string) => {
    const read = readConfig({ ...production, SMTP_URL: url })
    assert.ok(read.ok)
    return read.config.mail.smtp
  }
  const login = { user: 'sms@example', password: 'pass/word' }
  assert.deepEqual(smtpOf(production.SMTP_URL), { host: 'mail.sms.example', port: 465, tls: 'at_once', login })
  assert.deepEqual(smtpOf('smtp://a:b@mail.sms.example'), {
    host: 'mail.sms.example',
    port: 587,
    tls: 'upgrade',
    login: { user: 'a', password: 'b' },
  })
  assert.deepEqual(smtpOf('smtp://[::1]:25'), { host: '::1', port: 25, tls: 'none', login: null })
})

test('what receipts say beyond the facts is said by the operator, and nothing where he says nothing', () => {
  const receiptOf = (more: Record<string, string>) => {
    const read = readConfig({ ...production, ...more })
    assert.ok(read.ok)
    return { ...read.config.receipt, taxId: read.config.seller.taxId }
  }
  assert.deepEqual(receiptOf({}), { taxNote: null, statementText: null, taxId: null })
  const said = { taxNote: 'No VAT.', statementText: 'ADASMS* CREDITS', taxId: 'DE 1' }
  assert.deepEqual(
    receiptOf({ TAX_NOTE: said.taxNote, STATEMENT_TEXT: said.statementText, SELLER_TAX_ID: said.taxId }),
    said,
  )
})

test('the sender has a name or none', () => {
  const fromOf = (from: string) => {
    const read = readConfig({ ...production, MAIL_FROM: from })
    assert.ok(read.ok)
    return read.config.mail.from
  }
  assert.deepEqual(fromOf('"Ada\'s SMS, Ltd" <hello@sms.example>'), {
    name: "Ada's SMS, Ltd",
    address: 'hello@sms.example',
  })
  assert.deepEqual(fromOf('hello@sms.example'), { name: '', address: 'hello@sms.example' })
})

test('a network is offered that has nodes and a key, with an explorer only where one is set', () => {
  const read = readConfig({
    ...production,
    ...withBitcoin,
    BITCOIN_RPC_URLS: 'http://sms:secret@10.1.2.3:8332, https://sms:secret@node.example/btc',
    BITCOIN_EXPLORER: 'https://explorer.example/tx/{txid}',
    ETHEREUM_RPC_URLS: 'http://geth:8545',
    EVM_KEY: keys.ethereum,
  })
  assert.ok(read.ok, read.ok ? '' : read.problems.join('\n'))
  assert.deepEqual(read.config.crypto, {
    networks: [
      {
        name: 'bitcoin',
        urls: ['http://sms:secret@10.1.2.3:8332', 'https://sms:secret@node.example/btc'],
        key: `wpkh(${keys.bare}/0/*)`,
        explorer: 'https://explorer.example/tx/{txid}',
      },
      { name: 'ethereum', urls: ['http://geth:8545'], key: `evm(${keys.ethereum}/0/*)`, explorer: null },
    ],
    rateUrls: null,
  })
})

test('in a sandbox nodes are enough: it has keys of its own, a different one for each coin', () => {
  const read = readConfig({
    ...sandbox,
    BITCOIN_RPC_URLS: 'http://127.0.0.1:3001/chains/btc/rpc',
    LITECOIN_RPC_URLS: 'http://127.0.0.1:3001/chains/ltc/rpc',
    ETHEREUM_RPC_URLS: 'http://127.0.0.1:3001/chains/eth/rpc',
    RATE_URLS: 'http://127.0.0.1:3001/a,http://127.0.0.1:3001/b/,http://localhost:3001/c',
  })
  assert.ok(read.ok, read.ok ? '' : read.problems.join('\n'))
  const { networks, rateUrls } = read.config.crypto
  assert.deepEqual(
    networks.map(({ name, key }) => [name, key.slice(0, 9)]),
    [
      ['bitcoin', 'wpkh(tpub'],
      ['litecoin', 'wpkh(tpub'],
      ['ethereum', 'evm(tpubD'],
    ],
  )
  assert.equal(new Set(networks.map(({ key }) => key)).size, 3)
  assert.deepEqual(Object.values(rateUrls!), [
    'http://127.0.0.1:3001/a',
    'http://127.0.0.1:3001/b',
    'http://localhost:3001/c',
  ])
})

test('without MODE, a live key means production and anything else the sandbox', () => {
  const live = readConfig({ ...production, MODE: undefined })
  assert.ok(live.ok)
  assert.equal(live.config.mode, 'production')
})

const refused: [change: Record<string, string | undefined>, sentence: RegExp][] = [
  [{ ROLE: 'both' }, /^ROLE is "both": set it to "all", "web" or "worker"/],
  [{ HOST: 'my machine' }, /^HOST is "my machine": set it to an IP address/],
  [{ PORT: '70000' }, /^PORT is "70000": set it to a whole number from 0 to 65535/],
  [{ PORT: '3.5' }, /^PORT is "3\.5"/],
  [{ PORT: '-1' }, /^PORT is "-1"/],
  [{ SANDBOX_PORT: '3000' }, /^PORT and SANDBOX_PORT are both 3000/],
  [{ PUBLIC_URL: 'sms.example' }, /^PUBLIC_URL is "sms\.example": set it to an origin/],
  [{ PUBLIC_URL: 'https://sms.example/shop' }, /without a path/],
  [{ TRUST_PROXY: 'true' }, /^TRUST_PROXY is "true": set it to a whole number from 0 to 5/],
  [{ DATABASE_URL: undefined }, /^DATABASE_URL is missing/],
  [{ DATABASE_URL: 'mysql://x' }, /^DATABASE_URL is not the address of a PostgreSQL database/],
  [{ MIGRATION_DATABASE_URL: 'x' }, /^MIGRATION_DATABASE_URL is not the address/],
  [{ MODE: 'test' }, /^MODE is "test": set it to "sandbox" or "production"/],
  [{ AUTH_SECRET: 'short' }, /^AUTH_SECRET has fewer than 32 characters/],
  [{ AUTH_SECRET: undefined }, /^AUTH_SECRET has fewer than 32 characters/],
  [{ STRIPE_SECRET_KEY: undefined }, /^STRIPE_SECRET_KEY is not a secret key/],
  [{ STRIPE_SECRET_KEY: 'pk_test_1' }, /^STRIPE_SECRET_KEY is not a secret key/],
  [{ STRIPE_SECRET_KEY: 'sk_live_1', MODE: 'sandbox' }, /^STRIPE_SECRET_KEY is a live key and MODE is sandbox/],
  [{ STRIPE_WEBHOOK_SECRETS: '' }, /^STRIPE_WEBHOOK_SECRETS is missing/],
  [{ STRIPE_WEBHOOK_SECRETS: 'secret' }, /^STRIPE_WEBHOOK_SECRETS has a secret that does not begin with whsec_/],
  [{ STRIPE_WEBHOOK_SECRETS: 'whsec_1,whsec_2,whsec_3,whsec_4,whsec_5,whsec_6' }, /has 6 secrets: keep at most 5/],
  [{ STRIPE_API_URL: '127.0.0.1:3001' }, /^STRIPE_API_URL is "127/],
  [{ SMS_WEBHOOK_SECRETS: ' , ' }, /^SMS_WEBHOOK_SECRETS is missing/],
  [{ TWILIO_AUTH_TOKENS: ' , ' }, /^TWILIO_AUTH_TOKENS is missing/],
  [{ TWILIO_AUTH_TOKENS: 'a,b,c,d,e,f' }, /^TWILIO_AUTH_TOKENS has 6 secrets: keep at most 5/],
  [{ TOPUP_MINIMUM: '5,00' }, /^TOPUP_MINIMUM is "5,00": set it to an amount in dollars/],
  [{ TOPUP_MINIMUM: '0' }, /^TOPUP_MINIMUM is "0"/],
  [{ TOPUP_MINIMUM: '20', TOPUP_MAXIMUM: '10' }, /^TOPUP_MINIMUM is 20\.00: set it to at most TOPUP_MAXIMUM/],
  [{ ORDER_LIFETIME_SECONDS: '5' }, /^ORDER_LIFETIME_SECONDS is "5": set it to a whole number from 60/],
  [{ ORDER_CANCEL_AFTER_SECONDS: '1300' }, /^ORDER_CANCEL_AFTER_SECONDS is "1300".* to 1200/],
  [{ NUMBER_REST_SECONDS: 'a day' }, /^NUMBER_REST_SECONDS is "a day"/],
  [{ ORDER_OPEN_MAX: '0' }, /^ORDER_OPEN_MAX is "0"/],
  [{ BRAND_NAME: 'x'.repeat(41) }, /^BRAND_NAME has 41 characters/],
  [{ BRAND_LINK_COLOUR: 'green' }, /^BRAND_LINK_COLOUR is "green": write it as #rrggbb/],
  [{ BRAND_LINK_COLOUR: '#808080' }, /^BRAND_LINK_COLOUR #808080 has a contrast of 3\.6\d:1 on the paper #F3F6F4/],
  [{ SELLER_NAME: 'x'.repeat(121) }, /^SELLER_NAME has 121 characters/],
  [{ SELLER_ADDRESS: 'x'.repeat(201) }, /^SELLER_ADDRESS has 201 characters/],
  [{ SELLER_TAX_ID: 'x'.repeat(41) }, /^SELLER_TAX_ID has 41 characters: keep it to 40/],
  [{ TAX_NOTE: 'x'.repeat(301) }, /^TAX_NOTE has 301 characters: keep it to 300/],
  ...[
    'MOBILESMS',
    'MOBILESMS*CREDITS',
    'M* CREDITS',
    'MOBILESMS* 123',
    'MOBILESMS* PREPAID CREDITS',
    "MOBILESMS* ADA'S",
  ].map((text): [Record<string, string>, RegExp] => [
    { STATEMENT_TEXT: text },
    /^STATEMENT_TEXT is ".*": write the shortened/,
  ]),
  [{ SUPPORT_EMAIL: 'support' }, /^SUPPORT_EMAIL is "support": set it to an e-mail address/],
  [{ SMTP_URL: 'mail.sms.example:587' }, /^SMTP_URL is not the address of a mail server: set it to smtps:/],
  [{ SMTP_URL: 'smtp://127.0.0.1:2525/?secure=false' }, /^SMTP_URL is not the address/],
  [{ SMTP_URL: 'smtp://user@127.0.0.1' }, /^SMTP_URL is not the address/],
  [{ SMTP_URL: 'smtp://user:100%@127.0.0.1' }, /^SMTP_URL is not the address/],
  [{ SMTP_URL: 'smtp://mail.sms.example' }, /^SMTP_URL leads to another machine and MODE is sandbox/],
  [{ MAIL_FROM: 'hello' }, /^MAIL_FROM is "hello": set it to an address such as/],
  [{ MAIL_FROM: 'a@sms.example, b@sms.example' }, /^MAIL_FROM is "a@sms/],
  [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL is "loud"/],
  [{ BITCOIN_KEY: keys.sandboxBitcoin }, /^BITCOIN_KEY is set and BITCOIN_RPC_URLS is not: set it to your nodes/],
  ...(
    [
      [{ BITCOIN_KEY: keys.bare }, /^BITCOIN_KEY is a key for real money \(xpub…\) and MODE is sandbox: leave it out/],
      [
        { BITCOIN_RPC_URLS: 'http://10.1.2.3:8332' },
        /^URL 1 of BITCOIN_RPC_URLS leads to another machine and MODE is s/,
      ],
      [{ BITCOIN_RPC_URLS: '127.0.0.1:8332' }, /^URL 1 of BITCOIN_RPC_URLS is not the address of a node: write http:/],
      [{ BITCOIN_RPC_URLS: 'http://sms:100%@127.0.0.1' }, /^URL 1 of BITCOIN_RPC_URLS is not the address of a node/],
      [{ BITCOIN_RPC_URLS: ' , ' }, /^BITCOIN_RPC_URLS has 0 nodes: set it to 1 to 5 URLs/],
      [{ BITCOIN_RPC_URLS: 'http://127.0.0.1,http://127.0.0.1' }, /^BITCOIN_RPC_URLS names a node twice/],
      [{ BITCOIN_EXPLORER: 'https://explorer.example/tx/' }, /^BITCOIN_EXPLORER is ".*": write the https:.* \{txid\}/],
      [{ RATE_URLS: 'https://api.kraken.com' }, /^RATE_URLS is not a list of 3 URLs of this machine, for kraken, coin/],
    ] as [Record<string, string>, RegExp][]
  ).map(([change, sentence]): [Record<string, string>, RegExp] => [
    { BITCOIN_RPC_URLS: 'http://127.0.0.1:3001/chains/btc/rpc', ...change },
    sentence,
  ]),
]

for (const [change, sentence] of refused) {
  test(`refused with one sentence: ${JSON.stringify(change, (_, value) => value ?? null)}`, () => {
    const problems = problemsOf({ ...sandbox, ...change })
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0]!, sentence)
  })
}

const refusedInProduction: [change: Record<string, string>, sentence: RegExp][] = [
  [{ STRIPE_SECRET_KEY: 'sk_test_sandbox' }, /^STRIPE_SECRET_KEY is a test key and MODE is production/],
  [{ STRIPE_SECRET_KEY: 'rk_test_1' }, /^STRIPE_SECRET_KEY is a test key and MODE is production/],
  [{ STRIPE_WEBHOOK_SECRETS: 'whsec_new,whsec_sandbox' }, /remove whsec_sandbox/],
  [{ SMS_WEBHOOK_SECRETS: 'sms_sandbox' }, /remove sms_sandbox/],
  [{ SMS_WEBHOOK_SECRETS: 'guess-me' }, /fewer than 24 characters/],
  [{ TWILIO_AUTH_TOKENS: 'twilio_sandbox' }, /remove twilio_sandbox/],
  [{ TWILIO_AUTH_TOKENS: 'half-a-token' }, /^TWILIO_AUTH_TOKENS has a token of fewer than 24 characters/],
  [{ STRIPE_API_URL: 'http://127.0.0.1:3001' }, /^STRIPE_API_URL is set and MODE is production/],
  [{ PUBLIC_URL: 'http://sms.example' }, /set it to the https:\/\/ address/],
  [{ SELLER_NAME: '' }, /^SELLER_NAME is missing/],
  [{ SELLER_ADDRESS: '' }, /^SELLER_ADDRESS is missing/],
  [{ SUPPORT_EMAIL: '' }, /^SUPPORT_EMAIL is missing/],
  [{ SMTP_URL: '' }, /^SMTP_URL is missing/],
  [{ MAIL_FROM: '' }, /^MAIL_FROM is missing/],
  [{ MAIL_FROM: 'hello@sandbox.example' }, /^MAIL_FROM is "hello@sandbox\.example", the sandbox's/],
  ...(
    [
      [{ BITCOIN_KEY: '' }, /^BITCOIN_KEY is missing and BITCOIN_RPC_URLS is set: set it to the extended public key/],
      [{ BITCOIN_KEY: keys.private }, /^BITCOIN_KEY has a private key in it\. Nobody may see that.*move its coins/],
      [
        { BITCOIN_KEY: keys.root },
        /^BITCOIN_KEY has a key of depth 0, the root of the whole wallet: give that of an acc/,
      ],
      [{ BITCOIN_KEY: `${keys.zpub.slice(0, -1)}t` }, /^BITCOIN_KEY has a key whose checksum does not fit/],
      [
        { BITCOIN_KEY: keys.sandboxBitcoin },
        /^BITCOIN_KEY is a key of a test network \(vpub…\) and MODE is production/,
      ],
      [{ BITCOIN_KEY: keys.litecoin }, /^BITCOIN_KEY is a key of Litecoin: give one of Bitcoin/],
      [
        { LITECOIN_RPC_URLS: 'http://127.0.0.1:9332', LITECOIN_KEY: `wpkh(${keys.bare}/0/*)` },
        /^LITECOIN_KEY and BITCOIN_KEY are the same key: give each coin an account of its own/,
      ],
      [
        { ETHEREUM_RPC_URLS: 'http://127.0.0.1:8545', EVM_KEY: keys.sandboxEthereum },
        /^EVM_KEY is a key of the sandbox, whose seed everybody knows/,
      ],
      [{ EVM_KEY: keys.ethereum }, /^EVM_KEY is set and ETHEREUM_RPC_URLS is not/],
      [
        { BITCOIN_RPC_URLS: 'http://node.example:8332' },
        /^URL 1 of BITCOIN_RPC_URLS is plain http over a public network/,
      ],
      [
        { BITCOIN_RPC_URLS: 'https://a.example,http://8.8.8.8' },
        /^URL 2 of BITCOIN_RPC_URLS is plain http over a public/,
      ],
      [
        { BITCOIN_RPC_URLS: 'http://127.0.0.1:3001/chains/btc/rpc' },
        /^URL 1 of BITCOIN_RPC_URLS is a chain of the sandbox and MODE is production: set it to a node of yours/,
      ],
      [{ BITCOIN_EXPLORER: 'http://explorer.example/tx/{txid}' }, /^BITCOIN_EXPLORER is ".*": write the https:/],
      [{ RATE_URLS: 'http://127.0.0.1/a,http://127.0.0.1/b,http://127.0.0.1/c' }, /^RATE_URLS is set and MODE is prod/],
    ] as [Record<string, string>, RegExp][]
  ).map(([change, sentence]): [Record<string, string>, RegExp] => [{ ...withBitcoin, ...change }, sentence]),
]

for (const [change, sentence] of refusedInProduction) {
  test(`refused in production: ${JSON.stringify(change)}`, () => {
    const problems = problemsOf({ ...production, ...change })
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0]!, sentence)
  })
}

test('a link colour that can be read is accepted', () => {
  const read = readConfig({ ...sandbox, BRAND_LINK_COLOUR: '#1A5FB4' })
  assert.ok(read.ok)
  assert.equal(read.config.brand.linkColour, '#1A5FB4')
})

test('all problems are told at once', () => {
  assert.equal(problemsOf({ ...sandbox, PORT: 'x', AUTH_SECRET: '', LOG_LEVEL: 'loud' }).length, 3)
})

test('no sentence repeats a secret', () => {
  const problems = problemsOf({
    ...production,
    STRIPE_SECRET_KEY: 'sk_test_abcdef',
    AUTH_SECRET: 'my-own-secret',
    SMTP_URL: 'smtp://me:our-mail-word@host/x',
    BITCOIN_RPC_URLS: 'http://me:our-node-word@node.example,ftp://me:our-node-word@node.example/our-node-word',
    BITCOIN_KEY: keys.private,
    ETHEREUM_RPC_URLS: 'http://127.0.0.1:8545',
    EVM_KEY: keys.root,
  })
  assert.doesNotMatch(problems.join('\n'), /abcdef|my-own-secret|our-mail-word|our-node-word|[xyz](prv|pub)6?\w{20}/)
})
