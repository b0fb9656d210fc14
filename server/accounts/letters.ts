/**
 * The letters of joining and of what guards an account. Their links carry the token behind a `#`, which browsers send to nobody: it
 * stands in no log and no Referer.
 */
import type { Letter } from '../platform/letter.ts'

export type House = { brandName: string; publicUrl: string; supportEmail: string }

/** How long each link opens. Unit: seconds. */
export const LINK_SECONDS = {
  /** Mail is read the next morning, too. */
  sign_up: 24 * 3600,
  /** Source: the house's rule for resets (15 minutes, once). */
  reset: 15 * 60,
  email: 3600,
  /** Handed over by a colleague. */
  first_password: 24 * 3600,
} as const

const paths = {
  sign_up: '/join/confirm',
  reset: '/password/reset',
  email: '/email/confirm',
  first_password: '/password/reset',
} as const

export function linkTo(publicUrl: string, purpose: keyof typeof paths, token: string): string {
  return `${publicUrl}${paths[purpose]}#${token}`
}

export function lettersOf({ brandName, publicUrl, supportEmail }: House) {
  const whyJoining = 'You get this mail because somebody gave your address to open an account.'
  const whyAccount = (username: string) => `You get this mail because it guards your account ${username}.`
  const notYou = `If this was not you, somebody else has your password: choose a new one at once, which ends every sign-in, and write to ${supportEmail}.`
  const forgotten = `${publicUrl}/password/forgotten`

  return {
    /** To somebody who wants to join. Without the name: a stranger chose it, and mail programs make links of names with dots. */
    confirm: (token: string): Letter => ({
      subject: `Confirm your e-mail for ${brandName}`,
      blocks: [
        `Somebody, we hope you, wants to open an account with this address. It opens when you confirm that the address is yours.`,
        { button: 'Confirm my address', href: linkTo(publicUrl, 'sign_up', token) },
        'The link works once, within 24 hours.',
        'If it was not you, do nothing: without the link there is no account.',
      ],
      why: whyJoining,
    }),

    /** To somebody who wants to join, and has an account. */
    alreadyHere: (username: string): Letter => ({
      subject: `You already have an account at ${brandName}`,
      blocks: [
        `Somebody, perhaps you, wanted to use this address for an account. It has one already: its username is ${username}. Nothing was changed.`,
        { button: 'Sign in', href: `${publicUrl}/sign-in` },
        `Password forgotten? Choose a new one: ${forgotten}`,
        'If it was not you, do nothing.',
      ],
      why: whyJoining,
    }),

    reset: (username: string, token: string): Letter => ({
      subject: `A new password for ${username}`,
      blocks: [
        `Somebody, we hope you, wants to choose a new password for the account ${username}.`,
        { button: 'Choose a new password', href: linkTo(publicUrl, 'reset', token) },
        'The link works once, within 15 minutes. A new password ends every open sign-in.',
        'If it was not you, do nothing: your password stays as it is.',
      ],
      why: whyAccount(username),
    }),

    passwordChanged: (username: string, ended: number): Letter => ({
      subject: 'Your password was changed',
      blocks: [
        `The account ${username} has a new password. ${endedInWords(ended)} API keys work as before: if somebody else had the old password, revoke those that you do not know in Settings, ${publicUrl}/settings/keys.`,
        notYou,
        { button: 'Choose a new password', href: forgotten },
      ],
      why: whyAccount(username),
    }),

    /** Whoever makes a key keeps a way in that no new password closes: the owner hears of it. */
    keyMade: (username: string, key: { name: string; prefix: string }): Letter => ({
      subject: 'An API key was made for your account',
      blocks: [
        `The account ${username} has a new API key, "${key.name}", which begins with ${key.prefix}. A program that has it may do what the key allows until it ends or is revoked, also after a new password.`,
        { button: 'See the keys', href: `${publicUrl}/settings/keys` },
        `If this was not you, revoke the key there, choose a new password (${forgotten}), and write to ${supportEmail}.`,
      ],
      why: whyAccount(username),
    }),

    /** To the new address. */
    proveAddress: (username: string, token: string): Letter => ({
      subject: `Confirm your new e-mail for ${brandName}`,
      blocks: [
        `The account ${username} wants to use this address from now on.`,
        { button: 'Use this address', href: linkTo(publicUrl, 'email', token) },
        'The link works once, within an hour. Until then everything goes to the old address.',
        'If you know nothing of it, do nothing: nothing will come here.',
      ],
      why: 'You get this mail because somebody gave your address as the new one of an account.',
    }),

    /** To the address that is in force still. */
    addressAsked: (username: string, newAddress: string): Letter => ({
      subject: 'Somebody wants to change your e-mail',
      blocks: [
        `The account ${username} asked to use another address from now on: ${disguised(newAddress)}. It changes when the link that went there is opened.`,
        'If it was you, do nothing here.',
        notYou,
        { button: 'Choose a new password', href: forgotten },
      ],
      why: whyAccount(username),
    }),

    /** To the old address. */
    addressChanged: (username: string, newAddress: string): Letter => ({
      subject: 'Your e-mail was changed',
      blocks: [
        `The account ${username} uses another address from now on: ${disguised(newAddress)}. This one gets no more mail of it.`,
        `If this was not you, write to ${supportEmail} now, from this address, and name the account. Say that you did not change it; until it is clear whose account it is, we hold what is in it.`,
      ],
      why: `You get this mail because this was the address of the account ${username}.`,
    }),

    signIn: (username: string, from: { at: Date; address: string; userAgent: string }): Letter => ({
      subject: 'A new sign-in to your account',
      blocks: [
        `Somebody signed in to the account ${username} from a browser that has not been there before.`,
        {
          rows: [
            { name: 'When', value: `${from.at.toISOString().slice(0, 16).replace('T', ' ')} UTC` },
            { name: 'Address', value: from.address },
            { name: 'Browser', value: from.userAgent || 'It did not say' },
          ],
        },
        'If it was you, there is nothing to do.',
        notYou,
        { button: 'Choose a new password', href: forgotten },
      ],
      why: whyAccount(username),
      canSwitchOff: true,
    }),
  }
}

function endedInWords(ended: number): string {
  if (ended === 0) return 'No sign-in was ended.'
  return ended === 1 ? 'One other sign-in was ended.' : `${ended} other sign-ins were ended.`
}

/** `ana@example.com` → `a…@example.com`: its owner knows it, whoever reads the old mailbox does not learn it. */
function disguised(address: string): string {
  const at = address.lastIndexOf('@')
  return `${address.slice(0, 1)}…${address.slice(at)}`
}
