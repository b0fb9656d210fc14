/**
 * What crosses the wire between the server and its clients (the pages, the API's users). One schema per shape; the types are
 * read from the schemas. Money is a decimal string in US dollars, times are RFC 3339 in UTC.
 */
import { z } from 'zod'
import { type RefusalCode, refusals } from './refusals.ts'

export const money = z
  .string()
  .regex(/^-?\d+\.\d{2,6}$/)
  .meta({ id: 'Money', description: 'US dollars as a decimal string, with two decimals or more', example: '10.00' })
/** What a customer writes: "10", "10.5" and "10.50" are the same. Signs, exponents and a third decimal are refused. */
export const amountIn = z
  .string()
  .meta({ id: 'Amount', description: 'US dollars: "10", "10.5" or "10.50"', example: '10.00' })
const time = z.iso.datetime().meta({ id: 'Time', description: 'RFC 3339, in UTC', example: '2026-11-23T14:02:41.000Z' })
export const orderId = z.string().meta({ description: 'An order: ord_ and 32 hexadecimal digits' })
export const topupRefundId = z.string().meta({ description: 'A refund to the card: ref_ and 32 hexadecimal digits' })
export const topupId = z.string().meta({ description: 'A top-up: top_ and 32 hexadecimal digits' })

export const meSchema = z
  .object({
    username: z.string(),
    role: z.enum(['customer', 'staff']),
    time_zone: z.string().meta({ description: 'IANA name; every page shows times in it' }),
  })
  .meta({ id: 'Me' })
export type Me = z.infer<typeof meSchema>

/**
 * Joining: `POST /api/auth/sign-up`. Nothing is an account until the link of the mail was followed; the answer is the same whatever
 * is known of the name and the address. The policies' versions are those in force (policy-versions.ts).
 */
export const signUpSchema = z
  .object({
    /** 3 to 30 of a-z, 0-9, dot and underscore; capitals become small. */
    username: z.string(),
    email: z.string(),
    /** 8 to 128 characters, any. */
    password: z.string(),
    /** "I am 18 or over." */
    adult: z.boolean(),
    accepted: z.object({
      terms: z.string(),
      privacy: z.string(),
      acceptable_use: z.string(),
      refunds: z.string(),
    }),
  })
  .meta({ id: 'SignUp' })
export type SignUp = z.infer<typeof signUpSchema>

/**
 * `POST /api/auth/sign-up/confirm`, from the page `/join/confirm#<token>`. In the browser that signed up, the token is enough.
 * Elsewhere (the mail was opened on a phone) the refusal `password_needed` asks for the password chosen at sign-up: a link that a
 * stranger asked for in somebody's name must not make an account with the stranger's password. `username`: another one, where
 * the first was taken meanwhile (`username_taken`).
 */
export const confirmSignUpSchema = z
  .object({ token: z.string(), username: z.string().optional(), password: z.string().optional() })
  .meta({ id: 'ConfirmSignUp' })
export type ConfirmSignUp = z.infer<typeof confirmSignUpSchema>

/** An open sign-in. */
export const sessionSchema = z
  .object({
    /** `ses_…` */
    id: z.string(),
    /** The one that asks. */
    current: z.boolean(),
    created_at: time,
    /** A minute late at most. */
    last_used_at: time,
    /** Where it was opened from. */
    address: z.string(),
    user_agent: z.string(),
  })
  .meta({ id: 'Session' })
export type Session = z.infer<typeof sessionSchema>

/** The five figures; none is ever negative. `pending` is what the pages call "on its way". */
export const balanceSchema = z
  .object({
    currency: z.literal('USD'),
    available: money,
    held: money,
    frozen: money,
    pending: money,
    owed: money,
  })
  .meta({ id: 'Balance' })
export type Balance = z.infer<typeof balanceSchema>

/** What it was at a past instant. What was on its way then is not kept. */
export const pastBalanceSchema = balanceSchema
  .omit({ pending: true })
  .extend({ as_of: time })
  .meta({ id: 'PastBalance' })
export type PastBalance = z.infer<typeof pastBalanceSchema>

export const serviceSchema = z.object({ code: z.string(), name: z.string() }).meta({ id: 'Service' })
export type Service = z.infer<typeof serviceSchema>

export const countrySchema = z
  .object({ code: z.string(), name: z.string(), dial_code: z.string() })
  .meta({ id: 'Country' })
export type Country = z.infer<typeof countrySchema>

export const priceSchema = z
  .object({
    service: z.string(),
    country: z.string(),
    price: money,
    in_stock: z.int(),
    success_rate: z
      .number()
      .nullable()
      .meta({ description: 'Share of ended numbers that got a code, 0 to 1; null while there are none' }),
    success_base: z.int().meta({ description: 'How many ended numbers the rate stands on' }),
  })
  .meta({ id: 'Price' })
export type Price = z.infer<typeof priceSchema>

export const messageSchema = z
  .object({
    id: z.string().meta({ description: '`msg_…`' }),
    text: z.string(),
    code: z.string().nullable().meta({ description: 'Null: no code could be read out of the text' }),
    from: z.string().meta({ description: 'Who sent it, as the phone network said' }),
    received_at: time,
    late: z.boolean().meta({ description: 'True: it came after the order had ended; it is shown and never charged' }),
  })
  .meta({ id: 'Message' })
export type Message = z.infer<typeof messageSchema>

export const orderStatuses = ['requested', 'waiting', 'received', 'finished', 'cancelled', 'expired', 'failed'] as const
export const orderSchema = z
  .object({
    id: z.string().meta({ description: '`ord_…`' }),
    number: z
      .int()
      .meta({ description: 'The order number that people and protocols use: a decimal integer below 2^53' }),
    phone_number: z.string().meta({ description: 'E.164, with the plus sign' }),
    service: z.string(),
    country: z.string(),
    price: money,
    status: z.enum(orderStatuses),
    created_at: time.meta({ description: 'The instant the number was given' }),
    expires_at: time,
    cancel_from: time.meta({ description: 'Cancelling is possible from here on' }),
    ended_at: time
      .nullable()
      .meta({ description: 'When the order ended (finished, cancelled, expired); null while it is open' }),
    received_at: time
      .nullable()
      .meta({ description: 'When the first code was accepted and the price deducted; null when it was not' }),
    another_code_requested_at: time.nullable().meta({
      description: 'When a further code was asked for that has not come since; null when none is waited for',
    }),
    messages: z.array(messageSchema),
  })
  .meta({ id: 'Order' })
export type Order = z.infer<typeof orderSchema>
export type OrderStatus = Order['status']

/** A pair of service and country that a customer has marked; it stands first where he orders. */
export const favouriteSchema = z.object({ service: z.string(), country: z.string() }).meta({ id: 'Favourite' })
export type Favourite = z.infer<typeof favouriteSchema>

export const topupStatuses = [
  'awaiting_payment',
  'confirming',
  'credited',
  'partially_credited',
  'refused',
  'expired',
  'reversed',
] as const

/** Why a top-up was refused: the text keys of the 3-D Secure verdict, or what happened before it could be asked. */
export const topupReasons = [
  'bank_does_not_verify',
  'not_verified',
  'card_without_3ds',
  'verification_failed',
  'bank_unavailable',
  'wallet_without_3ds',
  'declined',
  'abandoned',
  'expired',
] as const
export type TopupReason = (typeof topupReasons)[number]

/** One step of a top-up's trace, in the order in which it happens. */
export const topupStepSchema = z
  .object({
    step: z.enum(['started', 'bank_asked', 'bank_answered', 'taken', 'credited']),
    state: z.enum(['done', 'waiting', 'to_come', 'cannot_happen']),
    at: time.nullable(),
  })
  .meta({ id: 'TopupStep' })

export const topupRefundStatuses = ['requested', 'pending', 'succeeded', 'failed'] as const

/** Why a refund to the card failed. The money is on the balance again. */
export const topupRefundReasons = [
  'card_lost_or_stolen',
  'card_closed',
  'declined',
  'disputed',
  'already_returned',
  'cancelled',
  'our_side',
  'declined_by_us',
  'not_confirmed',
  'unknown',
] as const
export type TopupRefundReason = (typeof topupRefundReasons)[number]

/** Money of a top-up on its way back: to its card, or to an address that the customer named. */
export const topupRefundSchema = z
  .object({
    id: z.string().meta({ description: '`ref_…`' }),
    status: z.enum(topupRefundStatuses).meta({
      description:
        '`requested`: we ask the card company, or, of crypto, look at it; `pending`: it is on its way (of crypto: agreed to, and sent once `transaction_id` is there); `succeeded`: it was sent; `failed`: it is on the balance again',
    }),
    amount: money,
    origin: z.enum(['you', 'us', 'card_company']).meta({ description: 'Who had it made' }),
    requested_at: time,
    ended_at: time.nullable().meta({ description: 'When it was sent, or when it failed; null while it is on its way' }),
    expected_by: time.nullable().meta({ description: 'When the bank should have shown it; null when it failed' }),
    reference: z.string().nullable().meta({ description: 'By which the bank finds it; null: not known (yet)' }),
    reason: z.enum(topupRefundReasons).nullable().meta({ description: 'Why it failed' }),
    asset: z.string().nullable().meta({ description: 'What is sent back, such as `BTC`; null: dollars, to the card' }),
    network: z.string().nullable().meta({ description: 'Of crypto: as people call it' }),
    address: z.string().nullable().meta({ description: 'Of crypto: where to' }),
    asset_amount: z
      .string()
      .nullable()
      .meta({ description: 'Of crypto: how much, by the rate when it is paid; null until then' }),
    transaction_id: z.string().nullable().meta({ description: 'Of crypto: null until it was sent' }),
    explorer_url: z.string().nullable(),
    confirmations: z.int().nullable().meta({ description: 'Of crypto: of the transaction; null until it was sent' }),
    confirmations_required: z.int().nullable(),
    note: z.string().nullable().meta({ description: 'What we say about it, where it failed' }),
  })
  .meta({ id: 'TopupRefund' })
export type TopupRefund = z.infer<typeof topupRefundSchema>

/** What a bank or its customer has to say against a payment. */
export const topupDisputeSchema = z
  .object({
    id: z.string().meta({ description: '`dsp_…`' }),
    kind: z.enum(['dispute', 'inquiry', 'warning']),
    status: z.enum(['open', 'under_review', 'won', 'lost', 'closed']),
    amount: money,
    frozen: money,
    owed: money,
    reason: z.string(),
    opened_at: time,
    ended_at: time.nullable(),
    cards_blocked: z.boolean().meta({ description: 'While this stands, no card is taken for a top-up' }),
  })
  .meta({ id: 'TopupDispute' })
export type TopupDispute = z.infer<typeof topupDisputeSchema>

export const disputeId = z.string().meta({ description: 'A dispute or a warning: dsp_ and 32 hexadecimal digits' })

/** What members of staff see of a dispute, an inquiry or a warning of fraud. */
export const staffDisputeSchema = topupDisputeSchema
  .extend({
    card_company_status: z.string().meta({ description: 'In its own word; of a warning: `open`, `refund_asked` …' }),
    card_company_id: z.string(),
    topup_id: z.string(),
    topup_amount: money,
    username: z.string().nullable(),
    card: z.object({ brand: z.string(), last4: z.string() }).nullable(),
    taken: money.meta({ description: 'Of the credits: gone' }),
    reason: z.string().meta({ description: 'In the word of the card company' }),
    reason_in_words: z.string(),
    network_reason_code: z.string().nullable(),
    evidence_due_by: time
      .nullable()
      .meta({ description: 'Until when the bank waits for our answer; null: it does not' }),
    last_error: z.string().nullable().meta({ description: 'Why the last look could not find out' }),
    cards_taken_again: z
      .object({ by: z.string().nullable(), at: time, why: z.string() })
      .nullable()
      .meta({ description: 'Who of staff takes the customer’s cards again although this was lost; null: nobody does' }),
    warning: z
      .object({
        status: z.enum(['open', 'refund_asked', 'refunding', 'refunded', 'released', 'closed']),
        asked_by: z.string().nullable().meta({ description: 'Who asked to send the money back' }),
        asked_at: time.nullable(),
        decided_by: z.string().nullable().meta({ description: 'Who agreed, or gave the credits back' }),
        decided_at: time.nullable(),
        why: z.string().nullable(),
        refund_id: z.string().nullable(),
      })
      .nullable()
      .meta({ description: 'Of a warning: who has decided what; null: it is a dispute or an inquiry' }),
  })
  .meta({ id: 'StaffDispute' })
export type StaffDispute = z.infer<typeof staffDisputeSchema>

const evidenceText = z.string().nullable()
const evidenceRows = z.array(z.record(z.string(), z.unknown()))
/** What shows that a disputed payment was in order. */
export const disputeEvidenceSchema = z
  .object({
    dispute: staffDisputeSchema,
    gathered_at: time,
    evidence: z
      .object({
        access_activity_log: evidenceText,
        customer_email_address: evidenceText,
        customer_name: evidenceText,
        customer_purchase_ip: evidenceText,
        product_description: evidenceText,
        receipt: evidenceText,
        refund_policy: evidenceText,
        refund_policy_disclosure: evidenceText,
        service_date: evidenceText,
        uncategorized_text: evidenceText,
      })
      .meta({ description: "Under the card company's own names; of a field for a document, its text" }),
    rows: z
      .object({
        topup: z.record(z.string(), z.unknown()),
        account: z.record(z.string(), z.unknown()).nullable(),
        policies: evidenceRows,
        orders: evidenceRows,
        movements: evidenceRows,
      })
      .meta({ description: 'What it rests on, as it is stored' }),
  })
  .meta({ id: 'DisputeEvidence' })
export type DisputeEvidence = z.infer<typeof disputeEvidenceSchema>

/** What else is to be said of a top-up, beside its status; in this order. */
export const topupLabels = [
  'partial',
  'over',
  'late',
  'multiple',
  'other_asset',
  'reorganised',
  'refunded',
  'disputed',
] as const
export type TopupLabel = (typeof topupLabels)[number]

/** Of every top-up, whatever the way to pay. */
const anyTopup = {
  id: z.string().meta({ description: '`top_…`' }),
  status: z.enum(topupStatuses),
  amount: money,
  created_at: time,
  expires_at: time,
  credited_at: time.nullable(),
  reason: z.enum(topupReasons).nullable(),
  labels: z.array(z.enum(topupLabels)),
  returned: money.meta({ description: 'Sent back to where it came from, or on its way there' }),
  returnable: money.meta({ description: 'What can be sent back now: unspent, in whole cents' }),
  disputed: money.meta({ description: 'Taken or frozen because of a dispute' }),
  refunds: z.array(topupRefundSchema).meta({ description: 'Oldest first' }),
  disputes: z.array(topupDisputeSchema).meta({ description: 'Oldest first' }),
  receipt: z.boolean().meta({ description: 'True: there is a receipt' }),
}

export const cardTopupSchema = z
  .object({
    ...anyTopup,
    method: z.literal('card'),
    checkout_url: z
      .string()
      .nullable()
      .meta({ description: 'Where the customer pays; null once the payment page is closed' }),
    bank_may_show_pending: z.boolean().meta({
      description: 'True: the bank authorised the payment and we let it go, so it may show as pending for a few days',
    }),
    card: z
      .object({ brand: z.string(), last4: z.string() })
      .nullable()
      .meta({ description: 'For people: which card, as far as it may be shown' }),
    trace: z.array(topupStepSchema),
  })
  .meta({ id: 'CardTopup' })
export type CardTopup = z.infer<typeof cardTopupSchema>

export const cryptoAssets = ['BTC', 'LTC', 'ETH', 'USDT', 'USDC'] as const
export type CryptoAsset = (typeof cryptoAssets)[number]

const assetAmount = z.string().regex(/^\d+(\.\d+)?$/)

/** How a payment on a chain stands. */
export const cryptoPaymentStates = [
  'seen',
  'confirming',
  'confirmed',
  'credited',
  'unmined',
  'replaced',
  'dropped',
  'reversed',
  'dust',
  'needs_review',
  'left',
] as const
export type CryptoPaymentState = (typeof cryptoPaymentStates)[number]

export const cryptoPaymentEventWords = [
  'seen',
  'mined',
  'unmined',
  'replaced',
  'dropped',
  'conflicted',
  'valued',
  'credited',
  'reversed',
  'review',
  'final',
] as const

/** One payment on a chain to the address of a top-up. */
export const cryptoPaymentSchema = z
  .object({
    id: z.string().meta({ description: '`pay_…`' }),
    asset: z.enum(cryptoAssets),
    network: z.string(),
    asset_amount: assetAmount,
    transaction_id: z.string(),
    state: z.enum(cryptoPaymentStates).meta({
      description:
        '`seen`: in the pool, in no block; `confirming`: in a block; `confirmed`: deep enough, about to be credited; `unmined`: the chain took its block back; `replaced`: another transaction spent the same; `dropped`: the network forgot it; `reversed`: it was credited and vanished; `dust`: too little to be credited; `needs_review`: somebody of us must look at it first; `left`: somebody has, and it is not credited',
    }),
    confirmations: z.number().int(),
    confirmations_required: z.number().int(),
    height: z.number().int().nullable(),
    seen_at: time,
    block_at: time.nullable(),
    parts: z
      .array(
        z.object({
          asset_amount: assetAmount,
          rate: money.meta({ description: 'Dollars for one whole coin, with up to six decimals' }),
          basis: z.enum(['locked', 'late', 'surplus', 'other_asset', 'decided']).meta({
            description: '`decided`: by a member of staff',
          }),
          value: money,
        }),
      )
      .meta({ description: 'By which rate which part of it is valued; empty before its first block' }),
    worth: money.nullable().meta({ description: 'What it is, or will be, credited as; null: not valued yet' }),
    credited_at: time.nullable(),
    reversed_at: time.nullable(),
    explorer_url: z.string().nullable().meta({ description: 'Null where the operator has set no explorer' }),
    events: z
      .array(
        z.object({
          what: z.enum(cryptoPaymentEventWords),
          at: time,
          height: z.number().int().nullable(),
        }),
      )
      .meta({ description: 'What happened to it, oldest first' }),
    blocks: z.array(z.object({ height: z.number().int(), at: time })).meta({
      description:
        'The block it stands in and those above it, up to what is required, as far as they are still kept; empty: in no block',
    }),
  })
  .meta({ id: 'CryptoPayment' })
export type CryptoPayment = z.infer<typeof cryptoPaymentSchema>

export const cryptoTopupSchema = z
  .object({
    ...anyTopup,
    method: z.literal('crypto'),
    asset: z.enum(cryptoAssets),
    network: z.string().meta({ description: 'As people call it, such as `Bitcoin`' }),
    address: z.string(),
    asset_amount: assetAmount.meta({ description: 'What to send, exactly' }),
    asset_amount_left: assetAmount.nullable().meta({
      description: 'What is missing of it while the rate is held; null: nothing, or the rate is not held any more',
    }),
    uri: z.string().meta({ description: 'For wallets; of a token the plain address' }),
    rate: money.meta({ description: 'Dollars for one whole coin, held until `expires_at`; up to six decimals' }),
    confirmations: z.number().int().meta({ description: 'Of the payment that is furthest behind; 0: none yet' }),
    confirmations_required: z.number().int(),
    credited: money.meta({ description: 'What its payments put on the balance, less what was reversed' }),
    payments: z.array(cryptoPaymentSchema).meta({ description: 'Oldest first' }),
  })
  .meta({ id: 'CryptoTopup' })
export type CryptoTopup = z.infer<typeof cryptoTopupSchema>

/** One coin on one network, as it can be paid with at the moment. */
export const cryptoOfferSchema = z
  .object({
    asset: z.enum(cryptoAssets),
    title: z.string().meta({ description: 'As people call it, such as `Tether`' }),
    network: z.string().meta({ description: 'In a word, such as `ethereum`' }),
    network_title: z.string().meta({ description: 'As wallets and exchanges call it' }),
    offered: z.boolean().meta({ description: 'False: no top-up can be begun with it now; `detail` says why' }),
    state: z.enum(['works', 'behind', 'trouble', 'halted', 'not_known']),
    detail: z.string().meta({ description: 'What was seen of it, and what that means for a payment' }),
    minimum: money,
    typical_fee: money
      .nullable()
      .meta({ description: 'What the network takes for sending it, roughly; null: not known' }),
    minutes_to_confirm: z.number().meta({ description: 'How long the confirmations usually take' }),
    confirmations: z.number().int().meta({ description: 'After so many blocks it is credited' }),
    do_not_use: z.array(z.string()).meta({ description: 'Networks that carry it, too, and that we do not watch' }),
  })
  .meta({ id: 'CryptoOffer' })
export type CryptoOffer = z.infer<typeof cryptoOfferSchema>

/** Whether cards are taken from the one who asks: `GET /api/v1/cards`. */
export const cardsTakenSchema = z
  .object({
    taken: z
      .boolean()
      .meta({ description: 'False: a bank asks about one of your payments, disputes it, or took it back' }),
    detail: z.string().nullable().meta({ description: 'Why not, and until when; null: they are taken' }),
  })
  .meta({ id: 'CardsTaken' })
export type CardsTaken = z.infer<typeof cardsTakenSchema>

/** What can be paid with besides cards: `GET /api/v1/crypto`. */
export const cryptoOffersSchema = z
  .object({
    assets: z.array(cryptoOfferSchema).meta({ description: 'None: only cards are taken' }),
    kept: z.string().meta({ description: 'What is kept of a payment, in a sentence' }),
  })
  .meta({ id: 'CryptoOffers' })
export type CryptoOffers = z.infer<typeof cryptoOffersSchema>

/** Where a transaction is that a customer asks for: `GET /api/v1/topups/:id/transaction?txid=`. */
export const cryptoTransactionSchema = z
  .object({
    transaction_id: z.string(),
    where: z.enum(['seen', 'block', 'other_address', 'not_found']).meta({
      description:
        '`seen`: it pays this top-up and waits for a block; `block`: it pays this top-up; `other_address`: it is on this network and does not pay the address of this top-up; `not_found`: this network does not know it',
    }),
    height: z.number().int().nullable().meta({ description: 'Of its block' }),
    confirmations: z.number().int(),
    failed: z.boolean().meta({ description: 'True: it is in a block and failed there, so it paid nobody' }),
  })
  .meta({ id: 'CryptoTransaction' })
export type CryptoTransaction = z.infer<typeof cryptoTransactionSchema>

export const topupSchema = z.discriminatedUnion('method', [cardTopupSchema, cryptoTopupSchema]).meta({ id: 'Topup' })
export type Topup = z.infer<typeof topupSchema>

/** Who sold, as a receipt names him. */
const sellerSchema = z.object({
  name: z.string(),
  address: z.string(),
  tax_id: z.string().nullable(),
  support_email: z.string(),
})
/** Who bought: as Settings say now, so that a company added later stands on earlier receipts too. */
const buyerSchema = z.object({
  username: z.string(),
  company: z.string().nullable(),
  tax_id: z.string().nullable(),
  time_zone: z.string().meta({ description: 'IANA name; the PDF and the mail write times in it' }),
})
const receiptCard = z.object({ brand: z.string(), last4: z.string() }).nullable()

/** The facts of a receipt: the same on the page, in the PDF and in the mail. */
export const receiptSchema = z
  .object({
    number: z.string().meta({ description: 'Of this receipt; it never changes', example: '20261123-8F3A91C204D7' }),
    topup_id: z.string().meta({ description: '`top_…`' }),
    issued_at: time.meta({ description: 'When the payment was taken and the credits were added' }),
    seller: sellerSchema,
    buyer: buyerSchema,
    card: receiptCard.meta({ description: 'Null also of what was paid by crypto' }),
    payments: z
      .array(
        z.object({
          asset: z.enum(cryptoAssets),
          network: z.string(),
          asset_amount: assetAmount,
          transaction_id: z.string(),
          height: z.number().int().nullable(),
          parts: cryptoPaymentSchema.shape.parts,
          worth: money,
          credited_at: time,
          reversed_at: time.nullable(),
        }),
      )
      .meta({ description: 'On a chain, each that was credited, oldest first; none: it was paid by card' }),
    statement_text: z.string().nullable().meta({ description: "As the bank's statement names the payment" }),
    currency: z.literal('USD'),
    amount: money.meta({ description: 'Taken from the card, or what was received on the chain is worth' }),
    credits: money.meta({ description: 'Prepaid credits added' }),
    tax_note: z.string().nullable().meta({ description: 'What the seller says about tax' }),
    terms: z.string().meta({ description: 'In a sentence or two, what can be asked back' }),
    terms_version: z.string().meta({ description: 'Of the refund policy that was in force' }),
  })
  .meta({ id: 'Receipt' })
export type Receipt = z.infer<typeof receiptSchema>

/** The facts of a refund to the card: the same in the PDF and in the mail. */
export const refundReceiptSchema = z
  .object({
    number: z.string(),
    refund_id: z.string().meta({ description: '`ref_…`' }),
    topup_id: z.string().meta({ description: '`top_…`' }),
    of_receipt: z.string().meta({ description: 'The number of the receipt of the top-up' }),
    status: z.enum(topupRefundStatuses),
    reason: z.enum(topupRefundReasons).nullable(),
    requested_at: time,
    sent_at: time.nullable(),
    failed_at: time.nullable(),
    expected_by: time.nullable(),
    seller: sellerSchema,
    buyer: buyerSchema,
    card: receiptCard,
    reference: z.string().nullable(),
    currency: z.literal('USD'),
    amount: money.meta({ description: 'Returned to the card' }),
    paid: money.meta({ description: 'What the top-up had taken from the card' }),
  })
  .meta({ id: 'RefundReceipt' })
export type RefundReceipt = z.infer<typeof refundReceiptSchema>

export const historyTypes = [
  'topup',
  'hold',
  'deduction',
  'release',
  'refund',
  'topup_refund',
  'dispute',
  'adjustment',
  'gift',
  'reversal',
] as const

/** One row of the Billing History = one transfer of the ledger. Newest first on the wire. */
export const historyRowSchema = z
  .object({
    id: z.string().meta({ description: '`trf_…`' }),
    type: z.enum(historyTypes),
    happened_at: time,
    text: z.string().meta({ description: 'The sentence of the row; the figures stand in its columns' }),
    amount: money.meta({ description: 'What it did to credits − debits: "10.00", "-1.20", "0.00"' }),
    held: money.meta({ description: 'What it did to held + frozen' }),
    balance: money.meta({ description: 'Available + held afterwards: what the customer owns' }),
    order_id: z.string().optional(),
    topup_id: z.string().optional(),
  })
  .meta({ id: 'HistoryRow' })
export type HistoryRow = z.infer<typeof historyRowSchema>

export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() })
}
export type Page<Item> = { items: Item[]; next_cursor: string | null }

/** The body of every failed answer. */
export const problemSchema = z
  .looseObject({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(refusals) as [RefusalCode, ...RefusalCode[]]),
    detail: z.string().meta({ description: 'What happened, where the money is, and what to do next' }),
    field: z.string().optional().meta({ description: 'The offending field' }),
    request_id: z.string().meta({ description: 'For our support' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457; programs read `code`' })

/**
 * What an open page is told, as server-sent events on `GET /api/v1/events`: the event's name is the key, its data the value.
 * `hello` comes first on every (re)connection, and again when the sandbox's clock is moved; it says the server's house time,
 * and the page reads anew what it shows.
 */
export type LiveEvents = {
  hello: { now: string }
  balance: Balance
  order: Order
  topup: Topup
}

/** The networks among them are told of where they are offered. */
export const statusParts = ['pages', 'cards', 'bitcoin', 'litecoin', 'ethereum', 'sms', 'mail'] as const
/** What works right now, for everybody to read: `GET /api/v1/status`. It rests on what was seen to happen, never on a guess. */
export const statusSchema = z
  .object({
    /** When the server last looked; at most 15 seconds ago. */
    looked_at: time,
    parts: z.array(
      z.object({
        part: z.enum(statusParts),
        /** `not_known`: nothing happened lately that would tell. */
        state: z.enum(['works', 'trouble', 'not_known']),
        /** What was seen, or what is wrong and what it means for a customer; one or two sentences. */
        detail: z.string(),
        /** When it was last seen to work; null: not lately. */
        last_worked_at: time.nullable(),
      }),
    ),
  })
  .meta({ id: 'Status' })
export type Status = z.infer<typeof statusSchema>

/** What the pages need to know before anything else, signed in or not: `GET /api/v1/site`. */
export const siteSchema = z
  .object({
    me: meSchema.nullable().meta({ description: 'Who is signed in; null: nobody' }),
    public_url: z.string().meta({ description: 'The origin that people type and programs call' }),
    brand: z.object({ name: z.string(), link_colour: z.string().nullable() }),
    seller: z
      .object({ name: z.string(), address: z.string(), support_email: z.string() })
      .meta({ description: 'Who sells, and where a person is reached' }),
    now: time.meta({ description: "House time; countdowns run by this clock, not the browser's" }),
    topup: z.object({ minimum: money, maximum: money }),
    order: z.object({ lifetime_seconds: z.int(), cancel_after_seconds: z.int(), max_open: z.int() }),
    /** Present in sandbox mode only. */
    sandbox: z
      .object({ desk_url: z.string(), demo: z.object({ username: z.string(), password: z.string() }) })
      .nullable(),
  })
  .meta({ id: 'Site' })
export type Site = z.infer<typeof siteSchema>

/** What an API key may be allowed to do; each says in words what that is. */
export const keyScopes = ['read', 'order', 'topup'] as const
export type KeyScope = (typeof keyScopes)[number]

export const keyId = z.string().meta({ description: 'An API key: key_ and 32 hexadecimal digits' })
export const apiKeySchema = z
  .object({
    id: z.string().meta({ description: '`key_…`' }),
    name: z.string(),
    prefix: z.string().meta({ description: 'Its first letters, to tell one key from another' }),
    status: z.enum(['works', 'expired', 'revoked']),
    scopes: z.array(z.enum(keyScopes)),
    daily_cap: money
      .nullable()
      .meta({ description: 'What its orders of one day may cost together; null: no cap of its own' }),
    addresses: z
      .array(z.string())
      .meta({ description: 'Where it may be used from: addresses and networks; none: anywhere' }),
    created_at: time,
    expires_at: time.nullable(),
    revoked_at: time.nullable(),
    last_used_at: time.nullable().meta({ description: 'Up to some seconds late; null: never' }),
    last_used_address: z.string().nullable(),
  })
  .meta({ id: 'ApiKey' })
export type ApiKey = z.infer<typeof apiKeySchema>

/** The answer to making one, the only one that has the key itself. */
export const newApiKeySchema = apiKeySchema
  .extend({ key: z.string().meta({ description: 'The key itself. It is shown this once.', example: 'msk_…' }) })
  .meta({ id: 'NewApiKey' })
export type NewApiKey = z.infer<typeof newApiKeySchema>

export const settingsSchema = z
  .object({
    username: z.string(),
    email: z.string(),
    time_zone: z
      .string()
      .meta({ description: 'IANA name; every page shows times in it, and days begin and end by it' }),
    company: z.string().nullable().meta({ description: 'On receipts; null: none' }),
    tax_id: z.string().nullable(),
    mails: z
      .object({ receipts: z.boolean(), sign_ins: z.boolean() })
      .meta({ description: 'Mails that may be switched off; what guards the account is sent always' }),
  })
  .meta({ id: 'Settings' })
export type Settings = z.infer<typeof settingsSchema>

/** Reconciliation, for staff: the card company's account of what moved, compared with ours. */
export const reconciliationItemKinds = [
  'credit_missing',
  'topup_unknown',
  'refund_missing',
  'dispute_missing',
  'source_unknown',
  'charge_not_there',
  'refund_not_there',
  'dispute_not_there',
  'amount_differs',
  'currency_differs',
  'entry_doubled',
] as const

/** What does not fit, as a sentence, and what to do about it. */
export const reconciliationItemSchema = z
  .object({
    key: z.string().meta({ description: 'The same difference has the same key in every run' }),
    kind: z.enum(reconciliationItemKinds),
    state: z
      .enum(['waiting', 'open'])
      .meta({ description: 'waiting: so young that it is no difference yet; it counts as open when it stays' }),
    what: z.string(),
    to_do: z.string(),
    username: z.string().nullable().meta({ description: 'Whose; null: nobody’s who is known' }),
    topup_id: topupId.nullable(),
    external_id: z.string().nullable().meta({ description: 'Its id at Stripe' }),
    ours: money.nullable(),
    theirs: money.nullable(),
    since: time,
    tries: z.int().meta({ description: 'How often the server tried to mend it by itself' }),
  })
  .meta({ id: 'ReconciliationItem' })
export type ReconciliationItem = z.infer<typeof reconciliationItemSchema>

/** What lies at Stripe, as the books say it: `clearing` = `at_stripe` + `on_its_way`; what is left is `unexplained`. */
export const reconciliationSumsSchema = z
  .object({
    clearing: money,
    at_stripe: money,
    on_its_way: money.meta({ description: 'Credited, and not seen at Stripe yet: each an item' }),
    unexplained: money,
    fees: money.meta({ description: 'What Stripe has kept so far' }),
    paid_out: money,
    foreign: money.meta({ description: 'Net, of other business on the same account at Stripe; not in the other sums' }),
  })
  .meta({ id: 'ReconciliationSums' })
export type ReconciliationSums = z.infer<typeof reconciliationSumsSchema>

export const reconciliationRunSchema = z
  .object({
    id: z.string().meta({ description: '`rec_…`' }),
    started_by: z.enum(['schedule', 'staff', 'command']),
    status: z.enum(['running', 'clean', 'open', 'failed']).meta({ description: 'clean: everything fits' }),
    step: z.enum(['reading', 'asking', 'mending', 'comparing']).meta({ description: 'What it does, or did last' }),
    entries: z.int().meta({ description: 'Read in this run' }),
    compared: z
      .object({
        charges: z.int(),
        refunds: z.int(),
        disputes: z.int(),
        fees: z.int(),
        payouts: z.int(),
        foreign: z.int(),
        mended: z.int(),
        open: z.int(),
        waiting: z.int(),
      })
      .nullable()
      .meta({ description: 'What fits so far, in all runs; null while it runs, and when it failed' }),
    sums: reconciliationSumsSchema.nullable(),
    error: z.string().nullable(),
    started_at: time,
    ended_at: time.nullable(),
  })
  .meta({ id: 'ReconciliationRun' })
export type ReconciliationRun = z.infer<typeof reconciliationRunSchema>

export const reconciliationSchema = z
  .object({
    runs: z.array(reconciliationRunSchema).meta({ description: 'The last 20, newest first' }),
    items: z.array(reconciliationItemSchema).meta({ description: 'What does not fit; the oldest 100' }),
  })
  .meta({ id: 'Reconciliation' })
export type Reconciliation = z.infer<typeof reconciliationSchema>

/** What a member of staff did, with why; null: the house by itself. */
const staffAction = z.object({ at: time, by: z.string().nullable(), what: z.string(), why: z.string().nullable() })
const bySomebody = { by: z.string().nullable(), at: time.nullable() }

export const reviewId = z.string().meta({ description: 'What needs a look: rev_ and 32 hexadecimal digits' })
export const cryptoReviewStatuses = ['open', 'credit_asked', 'credited', 'left', 'recovered', 'settled'] as const
export const cryptoReviewActions = ['credit', 'leave', 'recover'] as const

/** A payment on a chain that a person has to look at. */
export const staffCryptoItemSchema = z
  .object({
    id: reviewId,
    kind: z.string().meta({
      description:
        'unknown_token, other_network, below_minimum, conflict_after_credit, unused_address, account_closed, account_suspended, or another word of the follower',
    }),
    status: z.enum(cryptoReviewStatuses).meta({
      description:
        '`credit_asked`: a second person must agree; `left`: nothing is to be done; `recovered`: we have the coins; `settled`: it became right by itself',
    }),
    what: z.string(),
    to_do: z.string(),
    network: z.string(),
    asset: z.string().nullable().meta({ description: 'Null: none that we take' }),
    asset_amount: z.string().nullable(),
    contract: z.string().nullable().meta({ description: 'Of a token that we do not take' }),
    transaction_id: z.string(),
    explorer_url: z.string().nullable(),
    address: z.string().nullable().meta({ description: 'The address of ours that it paid' }),
    username: z.string().nullable(),
    topup_id: topupId.nullable(),
    state: z.string().nullable().meta({ description: 'How the payment stands; null: it is not followed' }),
    confirmations: z.int().nullable(),
    confirmations_required: z.int().nullable(),
    height: z.int().nullable().meta({ description: 'Of its block; null: it is in none' }),
    value: money.nullable().meta({ description: 'By the rate of its first block; null: not valued' }),
    worth: money.nullable().meta({
      description:
        'In whole cents, as the rules value it: what is credited when nobody says another amount; null: they do not',
    }),
    credit: money.nullable().meta({ description: 'What is, or is to be, credited by decision' }),
    may: z.array(z.enum(cryptoReviewActions)).meta({ description: 'What can be decided now' }),
    second_person_above: money,
    opened_at: time,
    opened_by: z.string().nullable(),
    asked: z.object(bySomebody).nullable().meta({ description: 'Who asked to credit it, where two must agree' }),
    decided: z.object(bySomebody).nullable(),
    why: z.string().nullable(),
    history: z.array(staffAction).meta({ description: 'Who did what, oldest first' }),
  })
  .meta({ id: 'StaffCryptoItem' })
export type StaffCryptoItem = z.infer<typeof staffCryptoItemSchema>

/** How far a network is read, and who let it go on after it was halted. */
export const staffChainSchema = z
  .object({
    chain: z.string().meta({ description: 'bitcoin, litecoin or ethereum' }),
    network: z.string(),
    state: z.enum(['works', 'behind', 'trouble', 'halted', 'not_known']),
    detail: z.string().meta({ description: 'The same in a sentence' }),
    height: z.int().nullable().meta({ description: 'Our newest block; null: never read' }),
    node_height: z.int().nullable().meta({ description: 'The newest block of its node when we last asked' }),
    halted: z
      .string()
      .nullable()
      .meta({ description: 'Why nothing is read until a person has looked; null: it is read' }),
    resumptions: z.array(z.object({ at: time, by: z.string(), why: z.string(), from: z.int(), to: z.int() })).meta({
      description: 'Who let it go on, and why, oldest first; `from` and `to`: our newest block before and after',
    }),
  })
  .meta({ id: 'StaffChain' })
export type StaffChain = z.infer<typeof staffChainSchema>

/** What a transaction pays to addresses of ours. */
export const staffCryptoLookupSchema = z
  .object({
    where: z.enum(['pool', 'block', 'nowhere', 'other_network']).meta({
      description: '`other_network`: not ours to ask; it stands as staff told it',
    }),
    detail: z.string().meta({ description: 'The same in a sentence' }),
    height: z.int().nullable(),
    failed: z.boolean().meta({ description: 'It is in a block and failed there, so it paid nobody' }),
    pays: z.array(
      z.object({
        address: z.string(),
        asset: z.string().nullable(),
        contract: z.string().nullable(),
        asset_amount: z.string().nullable(),
        username: z.string().nullable(),
        topup_id: topupId.nullable(),
        followed: z.boolean().meta({ description: 'It is among the payments, and credited by the rules' }),
      }),
    ),
    items: z.array(staffCryptoItemSchema).meta({ description: 'Which need a look, opened now or before' }),
  })
  .meta({ id: 'StaffCryptoLookup' })
export type StaffCryptoLookup = z.infer<typeof staffCryptoLookupSchema>

export const cryptoRefundStates = ['requested', 'approved', 'sent', 'succeeded', 'declined', 'failed'] as const
export const cryptoRefundActions = ['approve', 'price', 'paid', 'decline'] as const

/** Money of a top-up that goes back by a chain, as staff see it. */
export const staffCryptoRefundSchema = z
  .object({
    id: topupRefundId,
    status: z.enum(cryptoRefundStates),
    amount: money.meta({ description: 'Held, and taken from the credits when the transaction is confirmed' }),
    asset: z.string(),
    network: z.string(),
    address: z.string(),
    username: z.string().nullable(),
    topup_id: topupId,
    requested_at: time,
    second_person: z.boolean().meta({ description: 'Two people must approve it' }),
    asked: z.object(bySomebody).nullable().meta({ description: 'The first of two who approve' }),
    approved: z.object(bySomebody).nullable(),
    price: z
      .object({ asset_amount: z.string(), rate: money, at: time, uri: z.string(), by: z.string().nullable() })
      .nullable()
      .meta({ description: 'What is to be paid, by the rate when it was asked for last; null: not asked for yet' }),
    transaction_id: z.string().nullable(),
    explorer_url: z.string().nullable(),
    sent: z.object(bySomebody).nullable(),
    confirmations: z.int(),
    confirmations_required: z.int(),
    vanished_at: time.nullable().meta({ description: 'Since when the network knows nothing of the transaction' }),
    ended_at: time.nullable(),
    note: z.string().nullable().meta({ description: 'Why it was declined, as the customer was told' }),
    may: z.array(z.enum(cryptoRefundActions)),
    history: z.array(staffAction),
  })
  .meta({ id: 'StaffCryptoRefund' })
export type StaffCryptoRefund = z.infer<typeof staffCryptoRefundSchema>

/** Whether the chains and our books agree. */
export const cryptoDifferenceKinds = [
  'payment_missing',
  'payment_not_there',
  'payment_differs',
  'credit_missing',
  'credit_without_payment',
  'review_open',
  'surplus',
  'ledger_differs',
  'refund_not_there',
  'refund_paid_twice',
] as const
export const cryptoDifferenceSchema = z
  .object({
    key: z.string().meta({ description: 'The same difference has the same key in every run' }),
    kind: z.enum(cryptoDifferenceKinds),
    state: z.enum(['waiting', 'open']).meta({ description: 'waiting: it may still become right by itself' }),
    what: z.string(),
    to_do: z.string(),
    username: z.string().nullable(),
    topup_id: topupId.nullable(),
    transaction_id: z.string().nullable(),
    since: time,
  })
  .meta({ id: 'CryptoDifference' })
export type CryptoDifference = z.infer<typeof cryptoDifferenceSchema>

const units = z.string()
export const cryptoReconciliationRunSchema = z
  .object({
    id: z.string().meta({ description: '`rec_…`' }),
    chain: z.string(),
    network: z.string(),
    started_by: z.enum(['schedule', 'staff', 'command']),
    status: z.enum(['running', 'clean', 'open', 'failed']),
    height: z.int().nullable().meta({ description: 'At which block it was compared' }),
    blocks: z.int().meta({ description: 'Read anew' }),
    addresses: z.int().meta({ description: 'Whose balance was asked' }),
    addresses_in_all: z.int(),
    sums: z
      .array(
        z.object({
          asset: z.string(),
          received: units.meta({ description: 'By our own scan, in blocks that stand' }),
          on_addresses: units.meta({ description: 'By the node' }),
          moved_on: units.meta({ description: 'Received, and not on the addresses any more: we have moved it on' }),
          credited: money,
          not_credited: units.meta({ description: 'Received, and rightly not credited: dust, or left by decision' }),
          sent_back: money,
        }),
      )
      .meta({ description: 'One for each coin; none while it runs' }),
    items: z.array(cryptoDifferenceSchema).meta({ description: 'What does not fit; 200 at most' }),
    open: z.int(),
    error: z.string().nullable(),
    started_at: time,
    ended_at: time.nullable(),
  })
  .meta({ id: 'CryptoReconciliationRun' })
export type CryptoReconciliationRun = z.infer<typeof cryptoReconciliationRunSchema>

export const cryptoReconciliationSchema = z
  .object({ runs: z.array(cryptoReconciliationRunSchema).meta({ description: 'The last 20, newest first' }) })
  .meta({ id: 'CryptoReconciliation' })
export type CryptoReconciliation = z.infer<typeof cryptoReconciliationSchema>

/** Whether new card payments are begun at all, for staff. */
export const staffCardsSchema = z
  .object({
    state: z.enum(['open', 'paused']),
    opens_at: time.nullable().meta({ description: 'When they open by themselves; null: they are open' }),
    last_minutes: z
      .object({
        seconds: z.int(),
        attempts: z.int(),
        declines: z.int(),
        attempts_min: z.int().meta({ description: 'With fewer attempts nothing is concluded' }),
        declines_percent_max: z.int().meta({ description: 'With more declines, cards are paused for everybody' }),
      })
      .meta({ description: 'What the breaker looks at' }),
    pauses: z
      .array(
        z.object({
          begun_at: time,
          ended_at: time.nullable(),
          attempts: z.int(),
          declines: z.int(),
          begun_by: z.string().nullable().meta({ description: 'A member of staff; null: the breaker' }),
          ended_by: z.string().nullable().meta({ description: 'A member of staff; null: it ends by itself' }),
        }),
      )
      .meta({ description: 'Newest first, the last 20' }),
  })
  .meta({ id: 'StaffCards' })
export type StaffCards = z.infer<typeof staffCardsSchema>

export const eventStatuses = ['waiting', 'handled', 'set_aside'] as const
/** What Stripe told us, for staff: an event, and what came of it. */
export const staffEventSchema = z
  .object({
    id: z.string().meta({ description: "The card company's own id of it" }),
    type: z.string().nullable(),
    object: z.string().meta({ description: 'The id of what it is about' }),
    status: z.enum(eventStatuses),
    outcome: z.string().nullable().meta({
      description: 'What came of it, in one word; `unknown_object` while nothing of ours has its names yet',
    }),
    attempts: z.int(),
    last_error: z.string().nullable(),
    received_at: time,
    handled_at: time.nullable(),
    set_aside_at: time.nullable(),
    next_attempt_at: time.nullable(),
  })
  .meta({ id: 'StaffEvent' })
export type StaffEvent = z.infer<typeof staffEventSchema>

/** Whether webhooks reach us. */
export const endpointTestSchema = z
  .object({
    address: z.string().meta({ description: 'Where webhooks must be sent' }),
    tested_at: time.nullable(),
    problem: z.string().nullable().meta({ description: 'In words; null: a webhook that was sent there came here' }),
  })
  .meta({ id: 'EndpointTest' })
export type EndpointTest = z.infer<typeof endpointTestSchema>

export const eventStateSchema = z
  .object({
    endpoint: endpointTestSchema,
    list: z.object({
      read_at: time.nullable().meta({ description: 'When the list of events was last read to its end' }),
      last_event: z.string().nullable(),
      last_event_at: time.nullable(),
      problem: z.string().nullable(),
      going_through_objects: z.boolean().meta({ description: 'The list did not go back far enough' }),
    }),
    waiting: z.int(),
    set_aside: z.int(),
  })
  .meta({ id: 'EventState' })
export type EventState = z.infer<typeof eventStateSchema>
