/**
 * What the house promises and asks for, in words that a customer can read. Each policy keeps every version that was ever in force,
 * newest first: a text that somebody has accepted is never edited; a change is a new version with its date.
 *
 * The texts hold four names in braces, which the reader fills from the settings: {brand}, {seller}, {address}, {support}. A link is
 * written `[words](/path)`.
 */
import type { PolicyName } from './policy-versions.ts'

/** A paragraph, or a list of points. */
export type Passage = string | string[]
export type Section = { id: string; title: string; passages: Passage[] }
type PolicyVersion = {
  /** The day from which it is in force. */
  version: string
  /** What is different from the version before. */
  changed: string
  /** The whole in two or three sentences; the sections bind. */
  short: string
  sections: Section[]
}
export type Policy = { name: PolicyName; title: string; path: string; versions: [PolicyVersion, ...PolicyVersion[]] }

const terms: Policy = {
  name: 'terms',
  title: 'Terms',
  path: '/terms',
  versions: [
    {
      version: '2026-11-23',
      changed: 'This is the first version.',
      short:
        'You buy credits in advance and order phone numbers with them. A number costs something only when a code arrives on it. You are 18 or over, and you use the numbers for accounts that are your own to open.',
      sections: [
        {
          id: 'who-we-are',
          title: 'Who we are',
          passages: [
            '{brand} is sold and run by {seller}, {address}. “We” is {seller}. “You” is the person who has the account.',
            'You reach a person at {support}. Write your username, and the order number where there is one.',
          ],
        },
        {
          id: 'what-you-buy',
          title: 'What you buy',
          passages: [
            'A phone number that receives text messages (SMS) for a limited time, so that you can read a verification code sent to it. The number belongs to us or to our suppliers and never becomes yours. It makes no calls, takes none, and sends nothing.',
            'When your time with a number ends, it rests, and later somebody else may have it. Whoever has it then can receive what is sent to it then. Do not keep it as the only way back into an account that matters to you.',
          ],
        },
        {
          id: 'your-account',
          title: 'Your account',
          passages: [
            'You are 18 or over. You give an e-mail address that is yours and confirm it. An account is for one person or one company; you are answerable for what is done with your password and your API keys.',
            'Keep the password to yourself. If you think that somebody else knows it, change it and end the other sign-ins in Settings, then tell us.',
          ],
        },
        {
          id: 'credits',
          title: 'Credits',
          passages: [
            'Credits are counted in US dollars and whole cents, and are paid in advance. The least and the most that one top-up may be stand on the page Top-Up before you pay.',
            'Cards are accepted through Stripe and only when your bank has confirmed that it was you (3-D Secure). When it did not, we take no money; your bank may show the amount as pending for a few days.',
            'Where coins are taken, what arrives at the address of a top-up is credited after the confirmations that its page names: at the rate that was held while it is held, otherwise at the rate of the block that carries it. When a chain takes such a payment back, its credits are taken back, too.',
            'Credits appear as soon as the payment is certain. They do not expire. They bear no interest, cannot be passed to another account, and can be spent here only.',
          ],
        },
        {
          id: 'orders',
          title: 'What an order does to your credits',
          passages: [
            [
              'The price is shown before you order, and you never pay more than was shown.',
              'Ordering holds the price: the credits are still yours, and cannot be spent twice.',
              'The price is deducted when a message with a code has reached us for that order before the order ended. Our own clock decides, to the second.',
              'When no code comes, the whole price is yours again by itself, at the end of the order or when you cancel it. An order can be cancelled from the time shown with it, usually two minutes after the number was given.',
              'Further codes on the same order, a message without a code, and a code that came too late cost nothing.',
            ],
            'What happened to your credits stands in the Billing History, one row for each movement. If a row is wrong, tell us; we correct it with another row, never by changing one.',
          ],
        },
        {
          id: 'refunds',
          title: 'Money back',
          passages: [
            'A number that does not work as intended is refunded or replaced when you ask within seven days. The rule, what it covers and what it does not stand in the [Refund policy](/refund-policy), which is part of these terms.',
          ],
        },
        {
          id: 'disputes',
          title: 'Disputes at your bank',
          passages: [
            'Ask us first; most questions about a payment are answered the same day. When you dispute a payment at your bank, we may freeze the credits it bought until the bank has decided. You go on seeing your account and its history. Won, the credits are free again; lost, they are gone, and what had already been spent of them is shown as owed.',
          ],
        },
        {
          id: 'use',
          title: 'What the numbers are for',
          passages: ['The [Acceptable use](/acceptable-use) rules are part of these terms.'],
        },
        {
          id: 'suspension',
          title: 'When we suspend an account',
          passages: [
            'We may suspend an account that breaks these terms, or that we have good reason to think is used by somebody else. A suspended account orders nothing and tops up nothing. It still sees its balance and its history, and is told the reason and how to appeal.',
            'To appeal, write to {support}. A person who did not take the first decision reads it. A suspension by itself does not take your credits.',
          ],
        },
        {
          id: 'api',
          title: 'Programs',
          passages: [
            'You may use the service by program, with an API key of your own and within the limits it answers with. Give keys only the powers and the daily cap that they need. An order placed with your key is your order.',
          ],
        },
        {
          id: 'availability',
          title: 'What we answer for',
          passages: [
            'We do not promise that a certain service will send its code, or accept a certain number: that is the service’s own decision, and it is why you pay only when a code has arrived. We do promise that your credits are counted right.',
            'We are liable without limit where the law says so, and otherwise for damage that we caused and could have foreseen, up to what you paid us in the twelve months before. Rights that your country’s law gives you as a consumer stay yours, whatever stands here.',
          ],
        },
        {
          id: 'ending',
          title: 'Ending it',
          passages: [
            'You may close your account at any time: write to {support} from its e-mail address. Before it is closed, we return what is unspent as the [Refund policy](/refund-policy#unspent) says. An open request for a refund is decided first.',
          ],
        },
        {
          id: 'changes',
          title: 'Changes',
          passages: [
            'A change is a new version with a new date; the older ones stay readable here. We write to your e-mail address at least 14 days before a change that is to your disadvantage, and you may close your account instead. An order is judged by the version that was in force when you placed it.',
          ],
        },
      ],
    },
  ],
}

const privacy: Policy = {
  name: 'privacy',
  title: 'Privacy',
  path: '/privacy',
  versions: [
    {
      version: '2026-11-23',
      changed: 'This is the first version.',
      short:
        'We keep what the service needs: your e-mail address, your orders with their messages, and your payments. We show no advertising, load nothing from anybody else, and sell nothing about you.',
      sections: [
        {
          id: 'who',
          title: 'Who answers for your data',
          passages: ['{seller}, {address}. Write to {support} about anything on this page.'],
        },
        {
          id: 'what-we-keep',
          title: 'What we keep, and why',
          passages: [
            [
              'Username, e-mail address, a hash of your password (never the password): to know who you are. With the account we keep when you confirmed that you are 18 or over, and which version of each policy you accepted.',
              'Time zone, and a company and tax id if you enter them: to show times and write receipts as you want them.',
              'For each open sign-in: when it was made and last used, from which internet address, and what the browser calls itself. You see the list in Settings and can end each of them.',
              'For each browser that you signed in with: a hash by which we know it again, so that we can tell you of a sign-in from elsewhere, and nobody who fails in your name keeps you out. For an hour at most, how often signing in failed from a network, as a hash too.',
              'For each top-up: the amount, the times, the outcome of your bank’s confirmation, the brand of the card and its last four digits, and Stripe’s reference numbers. The card number itself goes to Stripe only; we never see it. From which internet address and with what browser you started it: so that we can show your bank that a payment was yours.',
              'For each top-up by crypto: the address, the transaction ids, the amounts and the times; for what is sent back, the address that you name. No name: a chain has none, and we ask for none.',
              'When your bank disputes a payment, we send the bank, through Stripe, what shows that it was in order: the receipt, your e-mail address, that address and browser, the outcome of your bank’s confirmation, and which numbers you ordered and when codes came. Never what a message said.',
              'For each order: the number, the service, the price, the times, and the messages that came, with their sender and text. They are what you bought, and the evidence when you or we ask why something was charged.',
              'For each API key: its name, its limits, when it was last used, and a hash of it.',
            ],
            'We keep these on the ground of our contract with you, and the books about money because the law asks for them.',
          ],
        },
        {
          id: 'messages',
          title: 'Your messages',
          passages: [
            'A message is shown to the customer whose order it came for, and to nobody else. Our staff read one only when that is needed to answer your question. A message that came after your order ended is shown to you while nobody else has had the number since.',
            'Messages stay with their order for as long as the account exists. Write to {support} when you want the texts of your orders erased; times and amounts stay, as the books need them.',
          ],
        },
        {
          id: 'how-long',
          title: 'How long',
          passages: [
            [
              'A sign-in: until you end it, until 14 days after its last use, and at most 30 days.',
              'The mark of a browser that you signed in with: at most 400 days after its last sign-in.',
              'A sign-up that was never confirmed: a day, as long as its link works.',
              'The words of a mail that we sent you: until it is sent. To which address, and its subject: 30 days.',
              'The account, its orders and messages: until you close it.',
              'Payments and movements of credits: as long as tax and commercial law require after that. They then carry no more of you than they must.',
            ],
          ],
        },
        {
          id: 'cookies',
          title: 'Cookies and other sites',
          passages: [
            'Two cookies. One says that you are signed in and ends with the sign-in. The other is a random mark by which we know your browser again when you sign in; it lasts 400 days and guards your account. Nobody could be signed in safely without them, so there is nothing to agree to. Your browser may keep a few settings of these pages on your device.',
            'These pages load no script, font, picture or counter from anybody else. When you pay by card, you go to Stripe’s own page, where [Stripe’s privacy policy](https://stripe.com/privacy) holds.',
          ],
        },
        {
          id: 'who-else',
          title: 'Who else gets data',
          passages: [
            [
              'Stripe, to take card payments: the amount, and what you type on its page.',
              'The carrier of our e-mail: your address and the text of the mail.',
              'The phone networks: nothing about you. They know the number and what was sent to it.',
              'Courts and authorities: what the law obliges us to give, and no more.',
            ],
            'Nobody else, for no purpose. We do not sell data, and no computer alone decides anything about you that has legal effect.',
          ],
        },
        {
          id: 'safety',
          title: 'How it is kept safe',
          passages: [
            'Passwords, sign-ins and API keys are kept as hashes. Codes, keys and e-mail addresses are not written into our technical logs. Pages are sent encrypted.',
          ],
        },
        {
          id: 'your-rights',
          title: 'Your rights',
          passages: [
            'Ask {support} for a copy of what we keep about you, for corrections, for erasure, for a limit on its use, or to object. We answer within a month. You may also complain to the data protection authority where you live.',
          ],
        },
        {
          id: 'changes',
          title: 'Changes',
          passages: [
            'A change is a new version with a new date; the older ones stay readable here. When we want to use data for something new, we write to you first.',
          ],
        },
      ],
    },
  ],
}

const acceptableUse: Policy = {
  name: 'acceptable_use',
  title: 'Acceptable use',
  path: '/acceptable-use',
  versions: [
    {
      version: '2026-11-23',
      changed: 'This is the first version.',
      short:
        'Use the numbers to open and test accounts that you may have, without giving your own number away. Do not use them to deceive or harm anybody.',
      sections: [
        {
          id: 'meant-for',
          title: 'What it is meant for',
          passages: [
            [
              'Keeping your private number private when a service asks for one.',
              'A second account where the service allows one, for work or for a project.',
              'Testing how your own product sends its codes.',
            ],
          ],
        },
        {
          id: 'not-allowed',
          title: 'What is not allowed',
          passages: [
            [
              'Fraud of any kind: false identities to get money, goods, credit or somebody’s trust; taking over accounts that are not yours.',
              'Banks, payment services, brokers, crypto exchanges, public authorities, health services and emergency services: their codes must reach your own phone.',
              'Spam, bought reviews, votes and followers, and accounts made in bulk to push or to drown out opinions.',
              'Harassing or threatening anybody; anything that harms children.',
              'Getting round a ban, or an age limit, of the service that you register with.',
              'Anything that is against the law where you are, or where the service is.',
            ],
          ],
        },
        {
          id: 'fair',
          title: 'Fair to other customers',
          passages: [
            [
              'Numbers are few. Do not order many of them and let them lapse; so many open orders as the service answers with is the limit.',
              'Keep programs within the limits that the API answers with, and wait when it says for how long.',
              'Do not resell the numbers one by one as a service of your own without our written agreement.',
              'Do not probe, overload or get round the protection of the service. If you find a weakness, write to {support}; who reports in good faith has nothing to fear.',
            ],
          ],
        },
        {
          id: 'services',
          title: 'The services you register with',
          passages: [
            'Each has rules of its own, and some forbid numbers like these. Read them; to keep to them is between you and the service. A service that refuses a number sends no code, and then the number costs you nothing.',
          ],
        },
        {
          id: 'what-happens',
          title: 'What we do about it',
          passages: [
            'Depending on how serious it is, we write to you, limit how much the account may order, or suspend it. We tell you the reason. You go on seeing your balance, and may appeal: [When we suspend an account](/terms#suspension).',
            'We answer lawful questions of the police and of courts. To report abuse of one of our numbers, write to {support} with the number and the time.',
          ],
        },
      ],
    },
  ],
}

const refunds: Policy = {
  name: 'refunds',
  title: 'Refund policy',
  path: '/refund-policy',
  versions: [
    {
      version: '2026-11-23',
      changed: 'This is the first version.',
      short:
        'No code, no charge: that happens by itself. A number that was charged and did not work as intended is refunded or replaced, as you prefer, when you ask within seven days of the purchase.',
      sections: [
        {
          id: 'no-code',
          title: 'No code: nothing to ask for',
          passages: [
            'An order holds its price and takes it only when a code arrives. When none does, the whole price returns to your credits at the end of the order, or at once when you cancel it. The Billing History shows the hold and its release.',
          ],
        },
        {
          id: 'seven-days',
          title: 'Seven days',
          passages: [
            'You may ask for your money back, or for a new number, within 7 × 24 hours of the purchase. The purchase is the instant at which the number was given; it stands with the order. We cannot consider what comes later.',
          ],
        },
        {
          id: 'covered',
          title: 'What is covered',
          passages: [
            [
              'The number had already been used for that service.',
              'The number was blocked by that service.',
              'The code that you were charged for was another service’s.',
              'An outage of ours kept you from using the code.',
            ],
            'In these cases you get what you ask for.',
          ],
        },
        {
          id: 'decided',
          title: 'What a person decides',
          passages: [
            [
              'The code came and the service refused it.',
              'You needed a second code on the same number and it never came.',
            ],
            'We look at the records of the order, and treat like cases alike.',
          ],
        },
        {
          id: 'not-covered',
          title: 'What is not covered',
          passages: [
            [
              'You ordered a number for the wrong service or country.',
              'You no longer needed it.',
              'It was never charged: then the price has already been returned, and we tell you when.',
              'It was used against the [Acceptable use](/acceptable-use) rules.',
            ],
            'You may appeal against a refusal by answering our mail. Another person reads the appeal.',
          ],
        },
        {
          id: 'how',
          title: 'How to ask',
          passages: [
            'Write to {support} from the e-mail address of your account, with',
            [
              'your username,',
              'the order number, or the phone number in question,',
              'what went wrong, in your own words,',
              'whether you would rather have a refund or a new number.',
            ],
            'We decide within 24 to 48 hours and write to you when it is done. When we grant the other of the two, we say why, and you may decline it.',
          ],
        },
        {
          id: 'what-you-get',
          title: 'What you get',
          passages: [
            [
              'A refund of an order returns its price to your credits, and stands in the Billing History.',
              'A new number is for the same service and country. When the first one was charged, the new one costs nothing; when no code comes on it, the first price is refunded by itself. When the first one was not charged, the new one is held at the first price and charged only when its code arrives.',
            ],
            'Never more than was paid is returned, and nothing is returned twice.',
          ],
        },
        {
          id: 'unspent',
          title: 'Unspent credits',
          passages: [
            'Credits do not expire. What you have not spent of a top-up can be returned to the card that paid it, or of crypto to an address that you name. Spending uses credits we gave you first, then your oldest top-up. Credits we gave you for nothing are not paid out.',
          ],
        },
        {
          id: 'law',
          title: 'Your rights by law',
          passages: [
            'This policy is what we promise on top. Rights that your country’s law gives you as a consumer stay yours.',
          ],
        },
      ],
    },
  ],
}

/** In the order in which they are listed everywhere. */
export const policies: readonly Policy[] = [terms, privacy, acceptableUse, refunds]
