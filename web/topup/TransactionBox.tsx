import { type FormEvent, useState } from 'react'
import type { CryptoTopup, CryptoTransaction } from '../../contract/contract.ts'
import { api, type Refusal } from '../api.ts'
import { Button } from '../ui/Button.tsx'
import { Field } from '../ui/Field.tsx'
import { Notice } from '../ui/Notice.tsx'
import { transactionWords } from './crypto.ts'

/** 32 bytes in hexadecimal, with 0x before it or not; what people copy along, blanks and lines, is no matter. */
const ID_CHARACTERS_MAX = 200

/** Where a payment is that somebody has sent, by the id that his wallet shows. */
export function TransactionBox({ topup, others }: { topup: CryptoTopup; others: readonly string[] }) {
  const [typed, type] = useState('')
  const [asking, setAsking] = useState(false)
  const [found, setFound] = useState<CryptoTransaction | null>(null)
  const [refusal, setRefusal] = useState<Refusal | null>(null)

  async function look(event: FormEvent) {
    event.preventDefault()
    if (asking) return
    setAsking(true)
    const answer = await api.transaction(topup.id, typed.trim())
    setAsking(false)
    setFound(answer.ok ? answer.value : null)
    setRefusal(answer.ok ? null : answer.refusal)
  }

  const words =
    found && transactionWords(found, { network: topup.network, others, needed: topup.confirmations_required })
  return (
    <>
      <form onSubmit={look} noValidate className="grid gap-12">
        <Field
          label="Transaction id"
          value={typed}
          onChange={(event) => {
            type(event.currentTarget.value)
            setFound(null)
            setRefusal(null)
          }}
          maxLength={ID_CHARACTERS_MAX}
          autoCapitalize="none"
          autoComplete="off"
          autoCorrect="off"
          spellCheck={false}
          hint="Your wallet or exchange shows it with the payment, also as “hash” or “TxID”."
          problem={refusal?.field === 'txid' ? refusal.detail : undefined}
        />
        <div>
          <Button type="submit">{asking ? 'Asking the network' : 'Where is it?'}</Button>
        </div>
      </form>
      {(words || (refusal && refusal.field !== 'txid')) && (
        <div className="grid pt-16">
          {words ? (
            <Notice tone={words.tone} takesFocus key={words.says}>
              <p>{words.says}</p>
              <p className="mt-4">{words.hint}</p>
            </Notice>
          ) : (
            <Notice tone="refused" takesFocus requestId={refusal!.requestId}>
              <p>{refusal!.detail}</p>
            </Notice>
          )}
        </div>
      )}
    </>
  )
}
