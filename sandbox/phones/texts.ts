/**
 * What services write: realistic texts in several languages, each with a code that a person would read out of it, and texts
 * that carry none.
 */
import { randomInt } from 'node:crypto'

type Text = { from: string; text: string }

/** `#` is a digit. */
type Template = { from: string; code: string; text: string }

const templates: Record<string, Template[]> = {
  telegram: [
    {
      from: 'Telegram',
      code: '#####',
      text: 'Telegram code: {code}\n\nYou can also tap on this link to log in:\nhttps://t.me/login/{code}',
    },
    { from: 'Telegram', code: '#####', text: 'Код Telegram: {code}. Никому не сообщайте его.' },
  ],
  whatsapp: [
    { from: 'WhatsApp', code: '###-###', text: 'Your WhatsApp code: {code}\n\nDo not share this code with others.' },
    { from: 'WhatsApp', code: '###-###', text: 'Tu código de WhatsApp es {code}. No lo compartas.' },
    { from: 'WhatsApp', code: '###-###', text: 'Seu código do WhatsApp: {code}. Não compartilhe.' },
  ],
  google: [
    { from: 'Google', code: '######', text: 'G-{code} is your Google verification code. Do not share it with anyone.' },
    { from: 'Google', code: '######', text: 'G-{code} ist dein Google-Bestätigungscode.' },
  ],
  facebook: [
    { from: 'Facebook', code: '######', text: '{code} is your Facebook confirmation code' },
    { from: 'Facebook', code: '######', text: '{code} est votre code de confirmation Facebook' },
  ],
  instagram: [
    { from: 'Instagram', code: '### ###', text: '{code} is your Instagram code. Do not share it.' },
    { from: 'Instagram', code: '### ###', text: '{code} é o seu código do Instagram. Não o compartilhe.' },
  ],
  tiktok: [{ from: 'TikTok', code: '######', text: '[TikTok] {code} is your verification code, valid for 5 minutes.' }],
  amazon: [
    { from: 'Amazon', code: '######', text: '{code} is your Amazon OTP. Do not share it with anyone.' },
    {
      from: 'Amazon',
      code: '######',
      text: '{code} ist Ihr Amazon-Einmalkennwort (OTP). Teilen Sie es niemandem mit.',
    },
  ],
  microsoft: [
    { from: 'Microsoft', code: '####', text: 'Microsoft access code: {code}' },
    { from: 'Microsoft', code: '######', text: 'Use {code} as Microsoft account security code' },
  ],
  apple: [{ from: 'Apple', code: '######', text: 'Your Apple Account code is: {code}. Don’t share it with anyone.' }],
  discord: [{ from: 'Discord', code: '######', text: 'Your Discord verification code is: {code}' }],
  uber: [
    { from: 'Uber', code: '####', text: 'Your Uber code is {code}. Never share this code.' },
    { from: 'Uber', code: '####', text: 'Votre code Uber est {code}. Ne le partagez jamais.' },
  ],
  signal: [{ from: 'Signal', code: '###-###', text: 'SIGNAL code: {code}. Do not share this code.' }],
}

const anyService: Template[] = [
  { from: '{service}', code: '######', text: 'Your {service} verification code is {code}. It expires in 10 minutes.' },
  { from: '{service}', code: '######', text: 'Ihr {service}-Bestätigungscode lautet {code}.' },
  { from: '{service}', code: '####', text: '{service}: tu código de verificación es {code}' },
]

const withoutCode: Text[] = [
  { from: '{service}', text: 'Welcome to {service}. Reply STOP to receive no more messages.' },
  {
    from: '{service}',
    text: 'We noticed a new sign-in to your {service} account. If it was you, there is nothing to do.',
  },
  {
    from: '{service}',
    text: 'Danke, dass du {service} nutzt. Antworte mit STOP, um keine Nachrichten mehr zu erhalten.',
  },
]

export function textWithCode(service: string): Text & { code: string } {
  const template = pick(templates[service] ?? anyService)
  const code = template.code.replaceAll('#', () => String(randomInt(10)))
  return {
    from: named(template.from, service),
    text: named(template.text, service).replaceAll('{code}', code),
    code,
  }
}

export function textWithoutCode(service: string): Text {
  const { from, text } = pick(withoutCode)
  return { from: named(from, service), text: named(text, service) }
}

function pick<Item>(items: Item[]): Item {
  return items[randomInt(items.length)]!
}

/** How people write the service's name; the senders are the names. */
export function serviceName(service: string): string {
  return templates[service]?.[0]?.from ?? service.charAt(0).toUpperCase() + service.slice(1)
}

function named(text: string, service: string): string {
  return text.replaceAll('{service}', serviceName(service))
}
