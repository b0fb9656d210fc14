import { useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { type FormEvent, useId, useState } from 'react'
import type { Balance, CryptoAsset, Topup } from '../../contract/contract.ts'
import { add, displayAmount, printAmount, readAmount, subtract, type Usd, usd } from '../../contract/money.ts'
import { api, type Refusal, type TopupWish } from '../api.ts'
import { paths } from '../paths.ts'
import { usePress } from '../press.ts'
import { balanceRead, cardsRead, cryptoRead, siteRead, topupRead } from '../reads.ts'
import { Page } from '../shell/Page.tsx'
import { Button, linkClass } from '../ui/Button.tsx'
import { EdgeRow, EdgeText } from '../ui/Edge.tsx'
import { AmountField, Choice } from '../ui/Field.tsx'
import { Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Time } from '../ui/Time.tsx'
import { CryptoChoice, CryptoTerms } from './CryptoChoice.tsx'

const presets = ['5.00', '10.00', '25.00', '50.00', '100.00']
const OTHER = 'other'
const FIRST_CHOICE = '10.00'

const options = [
  ...presets.map((amount) => ({ value: amount, text: displayAmount(amount).replace('.00', '') })),
  { value: OTHER, text: 'Other' },
]

/** What is owed is paid first. */
function thenAvailable(amount: Usd, balance: Balance): string {
  const after = subtract(add(amount, usd(balance.available)), usd(balance.owed))
  return printAmount(after > 0n ? after : usd('0'))
}

/** Where to look at what keeps cards closed. */
function WhereItStands({ code }: { code: Refusal['code'] }) {
  switch (code) {
    case 'too_many_open_topups':
      return (
        <p>
          <Link {...paths.billing()} className={linkClass}>
            Your open top-ups
          </Link>
        </p>
      )
    case 'email_not_proven':
      return (
        <p>
          <Link {...paths.settings()} className={linkClass}>
            Your e-mail address in Settings
          </Link>
        </p>
      )
    case 'cards_blocked_by_dispute':
      return (
        <p>
          <Link {...paths.billing({ type: 'dispute,reversal' })} className={linkClass}>
            The payment in question
          </Link>
        </p>
      )
    case 'card_limit_reached':
    case 'cards_paused':
      return (
        <p>
          <Link {...paths.article('card-refused')} className={linkClass}>
            Why cards are limited
          </Link>
        </p>
      )
    default:
      return null
  }
}

/** Cards are closed; the other way to pay is not. */
const onlyCardsClosed = new Set<Refusal['code']>(['card_limit_reached', 'cards_paused', 'cards_blocked_by_dispute'])

/** What a bank says of a payment keeps cards closed before one is tried. */
function CardsClosed({ detail, withCrypto }: { detail: string; withCrypto: boolean }) {
  return (
    <>
      <p>
        {detail} {withCrypto && 'Crypto is taken as before.'}
      </p>
      <WhereItStands code="cards_blocked_by_dispute" />
    </>
  )
}

export function TopUpPage() {
  const search = getRouteApi('/top-up').useSearch()
  const asked = search.amount ?? FIRST_CHOICE
  const [choice, choose] = useState(presets.includes(asked) ? asked : OTHER)
  const [typed, type] = useState(presets.includes(asked) ? '' : asked)
  const [by, setBy] = useState(search.method ?? 'card')
  const [wantedAsset, setAsset] = useState(search.asset)
  const limits = useQuery(siteRead).data?.topup
  const balance = useQuery(balanceRead).data
  const crypto = useQuery(cryptoRead).data
  const cards = useQuery(cardsRead).data
  const label = useId()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const { press, go, forget } = usePress<TopupWish, Topup>(api.startTopup, (topup) => {
    cache.setQueryData(topupRead(topup.id).queryKey, topup)
    if (topup.method === 'crypto') void navigate(paths.topup(topup.id))
    else if (topup.checkout_url) location.assign(topup.checkout_url)
  })

  const offers = crypto?.assets ?? []
  const closed = cards && !cards.taken ? (cards.detail ?? '') : null
  const byCrypto = (by === 'crypto' || closed !== null) && offers.length > 0
  const open = offers.filter(({ offered }) => offered)
  // Until one is chosen: the cheapest to send.
  const offer = open.find(({ asset }) => asset === wantedAsset) ?? open.find(({ asset }) => asset === 'LTC') ?? open[0]
  const wanted = choice === OTHER ? typed.trim() : choice
  const amount = readAmount(wanted)
  const pays = amount === null ? null : printAmount(amount)
  const owed = usd(balance?.owed ?? '0')
  const refusal = press.state === 'refused' ? press.refusal : null
  const ofAmount = refusal?.field === 'amount'

  function submit(event: FormEvent) {
    event.preventDefault()
    if (!byCrypto) void go({ method: 'card', amount: wanted })
    else if (offer) void go({ method: 'crypto', amount: wanted, asset: offer.asset })
  }

  function payBy(method: string) {
    setBy(method === 'crypto' ? 'crypto' : 'card')
    forget()
  }

  return (
    <Page title="Top-Up" width="reading">
      {refusal && (
        <div className="edge-block pb-16">
          <Notice
            tone="refused"
            takesFocus
            key={refusal.detail}
            requestId={ofAmount ? null : refusal.requestId}
            action={
              !byCrypto && open.length > 0 && onlyCardsClosed.has(refusal.code) ? (
                <Button onClick={() => payBy('crypto')}>Pay {pays ? `${displayAmount(pays)} ` : ''}with crypto</Button>
              ) : undefined
            }
          >
            <p>{ofAmount ? `${refusal.title}. Nothing was paid.` : refusal.detail}</p>
            {refusal.opensAt && (
              <p>
                Open again from <Time at={refusal.opensAt} precision="minutes" />.
              </p>
            )}
            <WhereItStands code={refusal.code} />
          </Notice>
        </div>
      )}
      <form onSubmit={submit} noValidate aria-labelledby={label} className="edge-block">
        <EdgeText className="grid gap-16">
          <Choice
            label="Amount"
            name="amount"
            options={options}
            value={choice}
            choose={(value) => {
              choose(value)
              forget()
            }}
          />
          {choice === OTHER && (
            <AmountField
              label="Other amount"
              value={typed}
              onChange={(event) => {
                type(event.currentTarget.value)
                forget()
              }}
              maxLength={12}
              hint={limits && `${displayAmount(limits.minimum)} to ${displayAmount(limits.maximum)}`}
              problem={ofAmount ? refusal.detail : undefined}
            />
          )}
          {choice !== OTHER && ofAmount && <p className="text-label text-refused">{refusal.detail}</p>}
          {offers.length > 0 && (
            <Choice
              label="Pay by"
              name="method"
              options={[
                { value: 'card', text: 'Card', disabled: closed !== null },
                { value: 'crypto', text: 'Crypto' },
              ]}
              why={closed !== null && <CardsClosed detail={closed} withCrypto={open.length > 0} />}
              value={byCrypto ? 'crypto' : 'card'}
              choose={payBy}
            />
          )}
          <div>
            <p id={label} className={offers.length > 0 ? 'sr-only' : 'text-label font-medium'}>
              {byCrypto ? 'By crypto' : 'By card'}
            </p>
            {!byCrypto && closed !== null && <CardsClosed detail={closed} withCrypto={false} />}
            {!byCrypto && closed === null && (
              <p>
                Your bank will ask you to confirm (3-D Secure). Credits appear at once. Cards that cannot confirm are
                not accepted.
              </p>
            )}
          </div>
        </EdgeText>
        {byCrypto && (
          <CryptoChoice
            offers={offers}
            chosen={offer?.asset ?? null}
            choose={(asset: CryptoAsset) => {
              setAsset(asset)
              forget()
            }}
            amount={pays}
          />
        )}
        {byCrypto && offer && crypto && (
          <EdgeText className="pt-16">
            <CryptoTerms offer={offer} kept={crypto.kept} />
          </EdgeText>
        )}
        <div className="edge-block pt-24" aria-live="polite">
          <EdgeRow className="line-above py-8" money={pays && <Money amount={pays} />}>
            You pay{byCrypto && offer && `, in ${offer.asset}`}
          </EdgeRow>
          <EdgeRow className="line-above py-8" money={pays && <Money amount={pays} />}>
            You get
          </EdgeRow>
          {owed > 0n && (
            <EdgeRow
              className="line-above py-8"
              money={amount !== null && <Money amount={`-${printAmount(amount < owed ? amount : owed)}`} signed />}
            >
              Pays what you owe
            </EdgeRow>
          )}
          <EdgeRow
            className="total-above py-8 font-medium"
            money={amount !== null && balance && <Money amount={thenAvailable(amount, balance)} />}
          >
            Then you have
          </EdgeRow>
        </div>
        <EdgeText className="flex flex-wrap items-center gap-x-16 gap-y-8 pt-16">
          <Button type="submit" kind="primary" disabled={byCrypto ? !offer : closed !== null}>
            {buttonWords(byCrypto ? (offer?.asset ?? 'crypto') : null, pays, press.state === 'pending')}
          </Button>
          <span className="text-label text-quiet">
            {byCrypto && !offer
              ? `No coin can be paid with at the moment; the list says why.${closed === null ? ' Cards are open.' : ''}`
              : 'Credits do not expire. Unspent credits can be returned.'}
          </span>
        </EdgeText>
      </form>
    </Page>
  )
}

function buttonWords(coin: string | null, pays: string | null, pending: boolean): string {
  if (pending) return coin ? 'Making the address' : 'Opening the payment page'
  return `Pay ${pays ? `${displayAmount(pays)} ` : ''}${coin ? `in ${coin}` : 'by card'}`
}
