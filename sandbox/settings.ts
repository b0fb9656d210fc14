/**
 * The settings of the sandbox, from the environment, read once. What is wrong refuses the start with one sentence.
 */
export type Settings = {
  /** Always on 127.0.0.1. 0: any free port (tests). */
  port: number
  /** Where the mail server listens, always on 127.0.0.1. 0: any free port (tests). */
  smtpPort: number
  /** Where the books are kept, as `sandbox.sqlite`. */
  dataDir: string
  /** Where webhooks, SMS and clock moves are sent. */
  serverUrl: string
  /** Where people's browsers find the product. */
  publicUrl: string
  /** How the bank's account calls the shop: what a customer reads on the payment page. */
  shopName: string
  /** The one key that Stripe's API takes. */
  stripeKey: string
  /** What webhooks are signed with. */
  webhookSecret: string
  /** What SMS are signed with. */
  smsSecret: string
  /** What SMS are signed with where they come as Twilio's. */
  twilioToken: string
  /** Seconds of wire time until the phone network sends the demo customer a code by itself; 0: never. */
  autoSmsSeconds: number
  /** The demo customer's API key: the phones know orders as any client does. */
  demoKey: string
}

export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const port = whole(environment, 'SANDBOX_PORT', 3001, 0, 65_535)
  const smtpPort = whole(environment, 'SANDBOX_SMTP_PORT', Math.min(port + 1, 65_535), 0, 65_535)
  const serverUrl = origin(environment, 'SERVER_URL', 'http://127.0.0.1:3000')
  return {
    port,
    smtpPort,
    dataDir: environment['DATA_DIR'] || refuse('DATA_DIR is missing: name the folder for the books of the sandbox'),
    serverUrl,
    publicUrl: origin(environment, 'PUBLIC_URL', 'http://localhost:3000'),
    shopName: environment['BRAND_NAME'] || 'MobileSMS',
    stripeKey: testKey(environment['STRIPE_SECRET_KEY'] || 'sk_test_sandbox'),
    webhookSecret: first(environment, 'STRIPE_WEBHOOK_SECRETS', 'whsec_sandbox'),
    smsSecret: first(environment, 'SMS_WEBHOOK_SECRETS', 'sms_sandbox'),
    twilioToken: first(environment, 'TWILIO_AUTH_TOKENS', 'twilio_sandbox'),
    autoSmsSeconds: whole(environment, 'SANDBOX_AUTO_SMS_SECONDS', 6, 0, 86_400),
    demoKey: 'msk_sandbox_demo',
  }
}

export class WrongSetting extends Error {}

function refuse(sentence: string): never {
  throw new WrongSetting(sentence)
}

function whole(environment: NodeJS.ProcessEnv, name: string, otherwise: number, min: number, max: number): number {
  const written = environment[name]
  if (!written) return otherwise
  const value = /^\d{1,6}$/.test(written) ? Number(written) : Number.NaN
  if (!(value >= min && value <= max))
    refuse(`${name} is "${written}": it must be a whole number from ${min} to ${max}`)
  return value
}

function origin(environment: NodeJS.ProcessEnv, name: string, otherwise: string): string {
  const written = environment[name] || otherwise
  const parsed = URL.parse(written)
  if (!parsed || !['http:', 'https:'].includes(parsed.protocol))
    refuse(`${name} is "${written}": it must be an address like ${otherwise}`)
  return parsed.origin
}

/** A list with commas; both sides use its first entry to sign. */
function first(environment: NodeJS.ProcessEnv, name: string, otherwise: string): string {
  const secret = (environment[name] ?? otherwise).split(',')[0]?.trim()
  return secret || refuse(`${name} is empty: the server would refuse every message`)
}

function testKey(key: string): string {
  if (/^(sk|rk)_live_/.test(key)) refuse('STRIPE_SECRET_KEY is a live key: the sandbox must never see one')
  return key
}
