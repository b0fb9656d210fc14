import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { displayAmount } from '../../contract/money.ts'
import { SandboxEntry, SignInSlip } from '../joining/SignIn.tsx'
import { paths } from '../paths.ts'
import { siteRead, statusRead } from '../reads.ts'
import { Page } from '../shell/Page.tsx'
import { buttonClass, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { InkBar, InkFigure, Money } from '../ui/Money.tsx'
import { Trace } from '../ui/Trace.tsx'
import { FrontPrices } from './FrontPrices.tsx'
import { PartState } from './PartState.tsx'

/** What is sold here, how it is paid, what it costs, and the ways in. */
export function Front() {
  const site = useQuery(siteRead).data
  return (
    <Page title="Phone numbers for one code each">
      <EdgeText className="grid gap-16 pb-32">
        <p className="text-lead font-medium">You pay for a number only when its code arrives.</p>
        <p>Order a temporary number, give it where a phone number is asked for, and read the code here.</p>
        <p>
          <Link {...paths.join()} className={buttonClass('primary')}>
            Join
          </Link>
        </p>
        <SandboxEntry />
      </EdgeText>

      <EdgeText className="pb-8">
        <h2 className="text-lead font-medium">How a number is paid</h2>
        <p className="text-label text-quiet">An example: you have $10.00, and the number costs $1.20.</p>
      </EdgeText>
      <HowItIsPaid minutes={site ? Math.round(site.order.lifetime_seconds / 60) : 20} />

      <EdgeText className="pt-48 pb-8">
        <h2 className="text-lead font-medium">What numbers cost</h2>
      </EdgeText>
      <FrontPrices />

      <EdgeText className="pt-48 pb-8">
        <h2 className="text-lead font-medium">Ways to pay</h2>
      </EdgeText>
      <WaysToPay />

      <EdgeText className="pt-48 pb-8">
        <h2 className="text-lead font-medium">Before you ask</h2>
        <ul className="mt-8 grid gap-8">
          {questions.map((question) => (
            <li key={question.article}>
              <Link {...paths.article(question.article)} className={linkClass}>
                {question.text}
              </Link>
            </li>
          ))}
          <li>
            <Link {...paths.help()} className={linkClass}>
              All help articles
            </Link>
          </li>
        </ul>
      </EdgeText>

      <div className="edge-block pt-48">
        <SignInSlip kind="plain" titled />
      </div>
    </Page>
  )
}

const questions = [
  { article: 'when-a-code-is-charged', text: 'When is a code charged?' },
  { article: 'no-code-came', text: 'What if no code comes?' },
  { article: 'paying-by-card', text: 'Why must my bank confirm a payment?' },
]

const STEP_MONEY = '1.20'

function HowItIsPaid({ minutes }: { minutes: number }) {
  return (
    <Trace
      label="How a number is paid"
      steps={[
        {
          key: 'held',
          state: 'done',
          text: (
            <>
              You order a number, for Telegram say. Its price is held, not charged.
              <Balance available="8.80" held={STEP_MONEY} />
            </>
          ),
          money: <InkFigure ink="held" word="held" amount={STEP_MONEY} signed />,
        },
        {
          key: 'wait',
          state: 'waiting',
          text: `We wait for the code, ${minutes} minutes at most. It stands on your page the moment it is here.`,
        },
        {
          key: 'code',
          state: 'to_come',
          text: (
            <>
              It arrives: the price is deducted.
              <Balance available="8.80" />
            </>
          ),
          money: (
            <>
              <Money amount={`-${STEP_MONEY}`} signed />
              <br />
              <InkFigure ink="held" word="held" amount={`-${STEP_MONEY}`} signed />
            </>
          ),
        },
        {
          key: 'none',
          state: 'to_come',
          text: (
            <>
              None comes: the price is yours again, by itself. Nothing is charged.
              <Balance available="10.00" />
            </>
          ),
          money: <InkFigure ink="held" word="held" amount={`-${STEP_MONEY}`} signed />,
        },
      ]}
    />
  )
}

/** The balance after a step, drawn to the same measure in each: its whole is the $10.00 of the beginning. */
function Balance({ available, held = '0.00' }: { available: string; held?: string }) {
  const share = 10 * (Number(available) + Number(held))
  return (
    <span className="mt-8 mb-8 block max-w-field text-note">
      <span className="block" style={{ width: `${share}%` }}>
        <InkBar
          parts={[
            { ink: 'available', amount: available },
            { ink: 'held', amount: held },
          ]}
        />
      </span>
      <span className="mt-4 flex flex-wrap gap-x-16">
        <InkFigure ink="available" word="available" amount={available} />
        {held !== '0.00' && <InkFigure ink="held" word="held" amount={held} />}
      </span>
    </span>
  )
}

function WaysToPay() {
  const limits = useQuery(siteRead).data?.topup
  const status = useQuery(statusRead)
  const cards = status.data?.parts.find((part) => part.part === 'cards')
  const chains = status.data?.parts.filter((part) => part.part in chainTitles) ?? []
  return (
    <EdgeText className="grid gap-8">
      <p>
        By card, confirmed with your bank (3-D Secure)
        {limits && `, ${displayAmount(limits.minimum)} to ${displayAmount(limits.maximum)} at a time`}. Credits appear
        at once and do not expire.
      </p>
      {cards && <PartState part={cards} />}
      {chains.length > 0 && (
        <p>
          With crypto, on {listed(chains.map(({ part }) => chainTitles[part] ?? part))}. What arrives is credited after
          three confirmations: less, more or later is fine.
        </p>
      )}
      <p>
        <Link {...paths.status()} className={linkClass}>
          What works right now
        </Link>
      </p>
    </EdgeText>
  )
}

const chainTitles: Partial<Record<string, string>> = {
  bitcoin: 'Bitcoin (BTC)',
  litecoin: 'Litecoin (LTC)',
  ethereum: 'Ethereum (ETH, USDT, USDC)',
}

/** `a, b and c`. */
function listed(words: string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}
