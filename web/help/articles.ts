import type { Section } from '../../contract/policies.ts'

/** The help articles, as data. Written as the policies are: names in braces, links as `[words](/path)`. */
export type Article = {
  /** Its place in the address. */
  slug: string
  title: string
  /** The answer in one or two sentences. */
  short: string
  sections: Section[]
}
export type Topic = { title: string; articles: Article[] }

export const topics: readonly Topic[] = [
  {
    title: 'Money',
    articles: [
      {
        slug: 'holds',
        title: 'How a hold works',
        short:
          'Ordering holds the price. It is still yours, but cannot be spent twice; it is deducted only when a code arrives.',
        sections: [
          {
            id: 'three-figures',
            title: 'The figures on Home',
            passages: [
              [
                'Available: what you can spend now.',
                'Held: kept for the orders that are open. No code, no charge.',
                'On its way: a payment that your bank has said yes to, or that a chain carries, and that is not added yet.',
                'Frozen and owed stand there only after a [dispute](/help/disputes).',
              ],
              'Available and held together are what you own. A hold moves credits from the one to the other and leaves the sum as it is.',
            ],
          },
          {
            id: 'how-it-ends',
            title: 'How a hold ends',
            passages: [
              [
                'A code arrives: the price is deducted.',
                'You cancel, or the time is over without a code: the whole price is available again, by itself and at once.',
              ],
              'Both stand in the [Billing History](/billing), with the order they belong to.',
            ],
          },
        ],
      },
      {
        slug: 'paying-by-card',
        title: 'Topping up by card, and 3-D Secure',
        short:
          'Your bank asks you to confirm each payment. Credits appear at once afterwards. Cards that cannot confirm are not accepted.',
        sections: [
          {
            id: 'steps',
            title: 'What happens',
            passages: [
              [
                'On [Top-Up](/top-up) you choose an amount. The least and the most stand there.',
                'You type the card on the page of Stripe, which handles cards for us. We never see its number.',
                'Your bank asks you to confirm, in its app or by a code of its own. This is 3-D Secure.',
                'You come back, and the credits are there. You need not wait on the page: they are added when you close it, too.',
              ],
            ],
          },
          {
            id: 'refused',
            title: 'When a card is refused',
            passages: [
              'We accept a payment only when the bank has confirmed that it was you. It protects you from others who use your card, and us from payments that are taken back. When it has not, we take no money, and the page says why.',
              'Your bank may show the amount as pending for a few days. Nothing was taken; it disappears by itself. Another card works at once, and so does [crypto](/help/paying-by-crypto) where it is offered. [Why was my card declined?](/help/card-refused) has the reasons one by one.',
            ],
          },
          {
            id: 'nothing-added',
            title: 'You paid, and nothing was added',
            passages: [
              'Open the top-up in the [Billing History](/billing): it shows which step it is at. We ask Stripe again every minute, whether or not you come back. If the step “taken” is done and “credited” is not after ten minutes, write to {support} with your username.',
            ],
          },
        ],
      },
      {
        slug: 'card-refused',
        title: 'Why was my card declined?',
        short:
          'Either your bank did not confirm that it was you, or it declined, or too many cards were tried. No money was taken; the top-up says which it was.',
        sections: [
          {
            id: 'not-confirmed',
            title: 'The bank did not confirm you',
            passages: [
              'We accept a payment only when the bank has confirmed it with you (3-D Secure). Some cards cannot: gift cards, many prepaid cards, and cards that were never registered for it. Ask your bank to switch it on, use another card, or pay [with crypto](/help/paying-by-crypto).',
              'Wallets such as Apple Pay skip the confirmation. Type the number of the card instead.',
            ],
          },
          {
            id: 'declined',
            title: 'The bank declined',
            passages: [
              'Then the bank has its reasons, and does not tell them to us. It can tell you: call the number on the card. The most common ones are too little money, a limit for payments abroad or online, and a card that was replaced.',
            ],
          },
          {
            id: 'limits',
            title: 'Too many tries',
            passages: [
              'Whoever has stolen card numbers tries them one after the other. So after several cards that failed, card payments close for a while; the page Top-Up says when they open again. When many cards fail at once, whoever they belong to, cards are paused for everybody for some minutes.',
              'Credits that you have stay usable meanwhile. A payment that you had begun goes on, and [crypto](/help/paying-by-crypto) stays open.',
            ],
          },
          {
            id: 'pending',
            title: 'The bank shows the amount all the same',
            passages: [
              'It has reserved the amount, and we have told it that we do not want it. Most banks stop showing it within a few days, and after seven it should be gone. We write to you when that happens, with the day.',
            ],
          },
        ],
      },
      {
        slug: 'paying-by-crypto',
        title: 'Topping up with crypto',
        short:
          'You get an address and an amount, the rate is held for 15 minutes, and what arrives is credited after three confirmations. Less, more or later is fine.',
        sections: [
          {
            id: 'steps',
            title: 'What happens',
            passages: [
              [
                'On [Top-Up](/top-up) you choose the amount and the coin. What the network takes for sending it, and how long it lasts, stands beside each.',
                'You get an address that is yours alone, the exact amount, and a code for the camera of your wallet.',
                'You send it on the network that the page names. The page shows when the network knows your payment, and each confirmation with its block.',
                'After three confirmations the credits are there. You need not wait on the page.',
              ],
            ],
          },
          {
            id: 'network',
            title: 'The right network',
            passages: [
              'A coin can travel on several networks. USDT and USDC are taken on Ethereum only: not on Tron, BNB or Polygon, even where the address looks the same. What was sent on another network is not seen here; on the page of the top-up, paste the transaction id into “Sent, and not to be seen here?”. It says what we know of it and what to do.',
            ],
          },
          {
            id: 'less-more-late',
            title: 'Less, more, later, twice',
            passages: [
              [
                'Less: what arrived is credited, from $0.50 on. While the rate is held you can send the rest to the same address.',
                'More: up to 110 % of the amount counts at the held rate, the rest at the rate of its block.',
                'Later: credited at the rate of the block that carries it. The address stays watched for ever.',
                'Twice: each payment is credited by itself.',
                'Another coin to the same address, such as USDC instead of USDT: credited as what it is.',
              ],
              'A payment that your wallet sent while the rate was held keeps that rate when its first block comes within 24 hours.',
            ],
          },
          {
            id: 'taken-back',
            title: 'When a chain takes a block back',
            passages: [
              'Networks sometimes exchange their newest blocks. Then a payment is at 0 confirmations again, usually for some minutes; the page shows it. Your coins are not lost.',
              'Very rarely that happens to a payment that was credited already. If it does not come back within three blocks, the credits are taken back, and added again as soon as it is in the chain. What had been spent of them is owed, and what comes in next pays it first.',
            ],
          },
          {
            id: 'returning',
            title: 'Money back, and what is kept',
            passages: [
              'What is unspent can be sent back to an address of yours: see [Returning unspent credit](/help/returning-credit).',
              'We keep the address, the transaction id, the amounts and the times. A chain knows no name, and we ask for none.',
            ],
          },
        ],
      },
      {
        slug: 'receipts',
        title: 'Receipts',
        short: 'Each top-up has a receipt, as a page, as a PDF and by mail. It names your company when Settings does.',
        sections: [
          {
            id: 'where',
            title: 'Where they are',
            passages: [
              'It comes by mail as soon as the credits are there. Later you find it in the [Billing History](/billing), in the row of the top-up, and as a PDF behind it. What was returned to your card has a receipt of its own, on the page of the top-up.',
              'Mails of receipts can be switched off in [Settings](/settings); the page and the PDF stay.',
            ],
          },
          {
            id: 'company',
            title: 'Company and tax id',
            passages: [
              'Write them in [Settings](/settings). They stand on every receipt from then on, on the earlier ones, too, when you open those anew. The number, the date and the amounts never change.',
            ],
          },
          {
            id: 'statement',
            title: 'On the bank’s statement',
            passages: [
              'The receipt says under which name the bank lists the payment. If you see a payment that you do not know, compare that name before you dispute it.',
            ],
          },
        ],
      },
      {
        slug: 'returning-credit',
        title: 'Returning unspent credit',
        short:
          'What you have not spent of a top-up can go back to the card that paid it, or of crypto to an address of yours, whole or in part. Open the top-up and press “Return”.',
        sections: [
          {
            id: 'how',
            title: 'How to do it',
            passages: [
              [
                'Open the top-up in the [Billing History](/billing). It says how much of it is unspent.',
                'Choose the amount. Above the button stands what will happen, and what you have afterwards.',
                'The amount is held at once, and deducted when it is sent. Banks take 5 to 10 business days to show it.',
              ],
              'Your bank may show it as a credit, or make the payment disappear. If it does not find it, give it the reference that stands with the refund.',
            ],
          },
          {
            id: 'how-much',
            title: 'How much can be returned',
            passages: [
              'Spending uses credits that we gave you first, then your oldest top-up. So the newest top-up is the one that is most likely whole. Credits that we gave you are not paid out, and what is held for an open order can be returned only when it is free again.',
              'Of a card, money goes back to the card that paid, and to no other.',
            ],
          },
          {
            id: 'crypto',
            title: 'Of a top-up by crypto',
            passages: [
              'You name an address on the same network. A person looks at it, usually within a day, and sends it in the coin of the top-up. It is worth the dollars that you asked for, at the rate when it is sent, from $1.00 on; the network’s fee is ours. The page of the top-up shows the transaction and its confirmations.',
            ],
          },
          {
            id: 'failed',
            title: 'When it fails',
            passages: [
              'A bank can refuse it, for instance because the card was closed. Then the amount is in your credits again, the top-up says why, and we write to you. Write to {support} for another way.',
            ],
          },
        ],
      },
      {
        slug: 'disputes',
        title: 'Disputes: frozen and owed',
        short:
          'When a payment is disputed at the bank, its credits are frozen until the bank has decided. What was spent of them already is owed.',
        sections: [
          {
            id: 'frozen',
            title: 'Frozen',
            passages: [
              'A dispute takes the money from us at once. So the credits that it bought are frozen: they are yours to see, and cannot be spent. Other credits can, and you go on seeing everything. No card is taken for the account until the bank has decided, which can take weeks.',
              'If it was you, by mistake or because you did not know the name on the statement: tell your bank that you withdraw it, and write to {support}.',
            ],
          },
          {
            id: 'ends',
            title: 'How it ends',
            passages: [
              [
                'The bank decides that the payment stands: the credits are free again.',
                'The bank gives the money back to the cardholder: the credits are gone.',
                'It was a question only: nothing happens to the credits.',
              ],
              'Each of these is a row of the [Billing History](/billing), and stands on the page of the top-up with its day.',
            ],
          },
          {
            id: 'owed',
            title: 'Owed',
            passages: [
              'What had been spent of the disputed credits cannot be frozen. It stands as owed on Home. Nothing is asked of you at once; but what comes in next, a top-up or a refund, pays it first, and the row of that says so.',
              'What a chain took back after it was spent is owed in the same way: [When a chain takes a block back](/help/paying-by-crypto).',
            ],
          },
          {
            id: 'ask-first',
            title: 'Ask us first',
            passages: [
              'A wrong charge is mended quicker here: see [Money back](/refund-policy), or [return what is unspent](/help/returning-credit) yourself.',
            ],
          },
        ],
      },
      {
        slug: 'when-a-code-is-charged',
        title: 'When a code is charged',
        short: 'When a message with a code reached us for your order before the order ended. Never otherwise.',
        sections: [
          {
            id: 'charged',
            title: 'Charged, once',
            passages: [
              'The first message with a code deducts the price that was held. The order’s page shows the second at which it arrived. Further codes on the same order are free while it is open: press “Another code”, and send the code again from the service.',
            ],
          },
          {
            id: 'free',
            title: 'Never charged',
            passages: [
              [
                'An order on which nothing came.',
                'A message without a code. We show it to you.',
                'A code that came after the order had ended. See [Late codes](/help/late-codes).',
              ],
            ],
          },
          {
            id: 'same-second',
            title: 'A code and a cancel in the same second',
            passages: [
              'Then one of the two was first, by our clock, and that one counts. If the code was first, the cancel is refused and says so; if the cancel was first, the code is free.',
            ],
          },
        ],
      },
      {
        slug: 'billing-history',
        title: 'Reading the Billing History',
        short:
          'One row for each movement, in the order in which it happened. The column Balance is what you own; a hold does not change it.',
        sections: [
          {
            id: 'columns',
            title: 'The columns',
            passages: [
              [
                'Amount: what came in (+) or was deducted (−).',
                'Held: what was put aside for an order, a refund or a dispute (+), or came out of it (−).',
                'Balance: available and held together, after this row.',
              ],
            ],
          },
          {
            id: 'not-twice',
            title: 'Why you did not pay twice',
            passages: [
              'An order that got its code has two rows. The first, “Held, not charged”, moves Held only. The second, “Code received”, takes the same sum out of Held and out of what you own. The Amount stands in one of them only.',
              'An order without a code has two rows as well: held, and released. The Balance is the same before and after.',
            ],
          },
          {
            id: 'finding',
            title: 'Finding a row',
            passages: [
              'Filter by kind and by day; the address of the page keeps the filter, so you can save it. Holds and releases can be hidden. Times are in the time zone of your account, which you choose in Settings.',
            ],
          },
        ],
      },
    ],
  },
  {
    title: 'Codes and numbers',
    articles: [
      {
        slug: 'no-code-came',
        title: 'No code came',
        short:
          'It costs nothing. Whether a service sends its code to a certain number is the service’s own decision; another number often works.',
        sections: [
          {
            id: 'check',
            title: 'While the order is open',
            passages: [
              [
                'Compare the number in the service’s form with the one on the order’s page, the country’s code included. Copy it rather than typing it.',
                'Choose SMS, not a call: the numbers take no calls.',
                'Have the service send its code again after a minute or two.',
                'Look at the success rate in the list of [Numbers](/numbers). A country with a higher rate is worth a few cents.',
              ],
            ],
          },
          {
            id: 'then',
            title: 'Then',
            passages: [
              '[Cancel the order](/help/cancelling) and order another number, or let the time run out. Either way the price is yours again.',
            ],
          },
        ],
      },
      {
        slug: 'late-codes',
        title: 'Late codes',
        short:
          'A code that comes after your order ended is shown to you and costs nothing, as long as nobody else has had the number since.',
        sections: [
          {
            id: 'where',
            title: 'Where it stands',
            passages: [
              'On the order’s own page, marked as late. Open it from the row in the [Billing History](/billing).',
              'After an order the number rests for a while. When another customer has it afterwards, what arrives then is his alone.',
            ],
          },
        ],
      },
      {
        slug: 'cancelling',
        title: 'Cancelling and finishing an order',
        short:
          'You can cancel from two minutes after the number was given until a code arrives. The price returns at once.',
        sections: [
          {
            id: 'cancel',
            title: 'Cancel',
            passages: [
              'The order’s page names the time from which it is possible. The first two minutes are kept for the code that may be under way; without them, others would find fewer numbers free.',
              'After the first code there is nothing to cancel: the price has been deducted.',
            ],
          },
          {
            id: 'finish',
            title: 'Finish',
            passages: [
              'When you have your code and need no other one, press “Finish”. It costs nothing, and an order that you leave alone finishes by itself when its time is over.',
            ],
          },
        ],
      },
    ],
  },
  {
    title: 'Account and API',
    articles: [
      {
        slug: 'account',
        title: 'Your e-mail, password and sign-ins',
        short:
          'All three are in Settings. A forgotten password is replaced by a link that we send to your e-mail address.',
        sections: [
          {
            id: 'forgotten',
            title: 'Forgotten password',
            passages: [
              'Give your username or e-mail address on [Forgotten password](/password/forgotten). The link works once, for 15 minutes. Choosing a new password ends every open sign-in.',
              'We say the same words whether or not the account exists, so that nobody learns from us who has one.',
            ],
          },
          {
            id: 'changing',
            title: 'Changing the e-mail address',
            passages: [
              'We send a link to the new address, and a notice to the old one. Until the link is opened, the old address stays.',
            ],
          },
          {
            id: 'somebody-else',
            title: 'Somebody else was there',
            passages: [
              'Settings lists every open sign-in with its address and browser. End those that are not yours, change the password, and revoke the API keys that you do not know. Then write to {support}.',
            ],
          },
        ],
      },
      {
        slug: 'api-keys',
        title: 'API keys',
        short:
          'A program orders numbers with a key that you make in Settings. Give each program its own key, with no more powers than it needs.',
        sections: [
          {
            id: 'making',
            title: 'Making one',
            passages: [
              'A key is shown once, when it is made; we keep only its hash. Lost, it is replaced by a new one.',
              [
                'Scopes: read, order, top up. A key that only reads cannot spend.',
                'Daily cap: the most that the key may spend on one day.',
                'Addresses: from where it may be used. Anywhere, when you name none.',
                'End: a day from which it stops working.',
              ],
            ],
          },
          {
            id: 'using',
            title: 'Using one',
            passages: [
              'Send it in the header Authorization, after the word Bearer. The [API page](/api/docs) has a whole journey in lines to copy, and every route with its refusals.',
            ],
          },
          {
            id: 'leaked',
            title: 'A key got out',
            passages: ['Revoke it in Settings. It ends at once; the others go on.'],
          },
        ],
      },
      {
        slug: 'reaching-us',
        title: 'How to reach a person',
        short: 'Write to {support}, from the e-mail address of your account. A person reads it.',
        sections: [
          {
            id: 'say',
            title: 'What to write',
            passages: [
              [
                'Your username. Signed in, you see it on every page.',
                'The order number, or the day and the amount of the top-up.',
                'What you expected, and what happened instead.',
              ],
              'Never send us a password, an API key or a card number. We do not ask for them.',
            ],
          },
          {
            id: 'money-back',
            title: 'Money back',
            passages: [
              'Within seven days of the purchase: what it covers and how to ask stands in the [Refund policy](/refund-policy). Whether everything works at the moment stands on [Status](/status).',
            ],
          },
        ],
      },
    ],
  },
]

export const articles: readonly Article[] = topics.flatMap((topic) => topic.articles)
