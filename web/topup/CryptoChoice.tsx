import type { ReactNode } from 'react'
import type { CryptoAsset, CryptoOffer } from '../../contract/contract.ts'
import { Button } from '../ui/Button.tsx'
import { EdgeRow, EdgeText } from '../ui/Edge.tsx'
import { Money } from '../ui/Money.tsx'
import { aboutMinutes, feeHint } from './offers.ts'

/** Which coin, on which network, what the network takes for it, and how long it lasts; one that cannot be chosen says why. */
export function CryptoChoice({
  offers,
  chosen,
  choose,
  amount,
}: {
  offers: CryptoOffer[]
  chosen: CryptoAsset | null
  choose: (asset: CryptoAsset) => void
  /** As the wire writes it; null: none that can be read. */
  amount: string | null
}) {
  const offer = offers.find(({ asset }) => asset === chosen)
  const hint = offer && amount !== null ? feeHint(offer, amount, offers) : null
  const instead = hint?.instead
  return (
    // Not a fieldset: those cannot stand on the lines of the page.
    <div role="radiogroup" aria-label="Coin" className="edge-block pt-16">
      <EdgeRow
        className="line-below py-8 text-note font-medium text-quiet"
        money={<span className="max-sm:sr-only">Network’s fee, about</span>}
      >
        <span aria-hidden="true">Coin, and how long it takes</span>
      </EdgeRow>
      {offers.map((each) => (
        <EdgeRow
          key={each.asset}
          className="line-below items-start py-8"
          money={
            each.typical_fee && (
              <p className="py-4">
                <span className="text-note text-quiet sm:hidden">fee about </span>
                <Money amount={each.typical_fee} />
              </p>
            )
          }
        >
          <label
            className={`flex min-h-target gap-12 py-4 ${each.offered ? 'cursor-pointer has-checked:font-medium' : 'text-quiet'}`}
          >
            <span className="flex h-[1lh] items-center">
              <input
                type="radio"
                name="asset"
                value={each.asset}
                checked={each.asset === chosen}
                disabled={!each.offered}
                onChange={() => choose(each.asset)}
                className="size-16 focus-visible:focus-ring"
              />
            </span>
            <span className="min-w-0 flex-1">
              {each.title} ({each.asset}){each.title !== each.network_title && <> on {each.network_title}</>}
              <span className="block text-label font-regular text-quiet">
                {each.offered
                  ? `${upper(aboutMinutes(each.minutes_to_confirm))} to ${each.confirmations} confirmations.`
                  : each.detail}
              </span>
            </span>
          </label>
        </EdgeRow>
      ))}
      {hint && (
        <EdgeText className="grid justify-items-start gap-8 pt-12">
          <p role="status">{hint.says}</p>
          {instead && <Button onClick={() => choose(instead)}>Choose Litecoin</Button>}
        </EdgeText>
      )}
    </div>
  )
}

/** What everybody wants to know before he sends something that cannot be called back. */
export function CryptoTerms({ offer, kept }: { offer: CryptoOffer; kept: string }) {
  return (
    <dl className="grid gap-12">
      <Term name="Less, more or late">
        We credit what arrives, each payment by itself, from $0.50 on. Up to 110 % of the amount counts at the rate that
        is held for 15 minutes; more than that, and what comes later, at the rate of its block.
      </Term>
      <Term name="When it is added">
        After {offer.confirmations} confirmations, {aboutMinutes(offer.minutes_to_confirm)} on {offer.network_title}.
        You need not wait on the page.
      </Term>
      <Term name="What is kept">{kept}</Term>
    </dl>
  )
}

function Term({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="sm:flex sm:gap-16">
      <dt className="text-label text-quiet sm:w-name sm:shrink-0">{name}</dt>
      <dd className="min-w-0 text-label">{children}</dd>
    </div>
  )
}

function upper(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}
