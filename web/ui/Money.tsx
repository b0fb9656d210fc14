import { displayAmount } from '../../contract/money.ts'

/** The five inks in which a balance is drawn; each comes with its word and its figure. */
export type InkName = 'available' | 'held' | 'coming' | 'frozen' | 'owed'

const inks: Record<InkName, string> = {
  available: 'ink-available',
  held: 'ink-held',
  coming: 'ink-coming',
  frozen: 'ink-frozen',
  owed: 'ink-owed',
}

/** An amount as the wire writes it (`"-1.20"`), all digits, never rounded. `signed`: money in is +, money out −. */
export function Money({ amount, signed = false }: { amount: string; signed?: boolean }) {
  return <span className="whitespace-nowrap">{displayAmount(amount, signed ? 'always' : 'never')}</span>
}

/** The small square beside a word that says which ink it is drawn in. */
export function Swatch({ ink }: { ink: InkName }) {
  return (
    <span
      aria-hidden="true"
      className={`inline-block size-ink align-[-0.05em] forced-color-adjust-none ${inks[ink]}`}
    />
  )
}

/** An amount with its ink and its word, where it is not simply spent or received: `▨ held +$1.20`. */
export function InkFigure({
  ink,
  word,
  amount,
  signed = false,
}: {
  ink: InkName
  word: string
  amount: string
  signed?: boolean
}) {
  return (
    <span>
      <span className="whitespace-nowrap">
        <Swatch ink={ink} /> {word}
      </span>{' '}
      <Money amount={amount} signed={signed} />
    </span>
  )
}

type Part = { ink: InkName; amount: string }

/**
 * The balance bar: one part per ink, as wide as its share of the whole; what is owed hangs below the line. It is a drawing of
 * figures that stand beside it in words, so it is silent for a screen reader. Shares are drawn, never shown as figures.
 */
export function InkBar({ parts }: { parts: Part[] }) {
  const above = parts.filter((part) => part.ink !== 'owed' && Number(part.amount) > 0)
  const owed = parts.filter((part) => part.ink === 'owed' && Number(part.amount) > 0)
  return (
    <div aria-hidden="true" className="forced-color-adjust-none">
      <div className="flex h-ink border border-ink">
        {above.map((part) => (
          <div
            key={part.ink}
            className={`min-w-4 ${inks[part.ink]}`}
            style={{ flexGrow: Number(part.amount), flexBasis: 0 }}
          />
        ))}
      </div>
      {owed.map((part) => (
        <div key={part.ink} className="flex">
          <div className={`h-8 min-w-4 ${inks.owed}`} style={{ width: `${share(part, above)}%` }} />
        </div>
      ))}
    </div>
  )
}

function share(part: Part, whole: Part[]): number {
  const sum = whole.reduce((total, other) => total + Number(other.amount), 0)
  return sum === 0 ? 100 : Math.min(100, (100 * Number(part.amount)) / sum)
}
