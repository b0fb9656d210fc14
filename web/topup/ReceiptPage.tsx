import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { Receipt } from '../../contract/contract.ts'
import { paidName, receiptLines } from '../../contract/receipts.ts'
import { Refused } from '../api.ts'
import { endpoints, paths } from '../paths.ts'
import { receiptRead } from '../reads.ts'
import { ReadFailed } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { buttonClass, linkClass } from '../ui/Button.tsx'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { longDay, seconds, zoneWords } from '../ui/times.ts'

export function ReceiptPage() {
  const { id } = getRouteApi('/topups/$id/receipt').useParams()
  const read = useQuery(receiptRead(id))
  if (read.data) return <ReceiptSheet receipt={read.data} />
  if (read.error instanceof Refused && read.error.refusal.code === 'not_credited')
    return <NoReceipt topup={id} why={read.error.refusal.detail} />
  return read.isError ? <ReadFailed error={read.error} again={() => read.refetch()} /> : <Loading />
}

/** Also of what a chain took back: its row of the Billing History leads here as before. */
function NoReceipt({ topup, why }: { topup: string; why: string }) {
  return (
    <Page title="No receipt" width="reading">
      <Notice
        tone="held"
        action={
          <Link {...paths.topup(topup)} className={linkClass}>
            The top-up
          </Link>
        }
      >
        <p>{why}</p>
      </Notice>
    </Page>
  )
}

function ReceiptSheet({ receipt }: { receipt: Receipt }) {
  const zone = receipt.buyer.time_zone
  const timeWords = (at: string) => `${longDay(at, zone)}, ${seconds(at, zone)} (${zoneWords(zone)})`
  return (
    <Page title="Receipt" width="reading">
      <Slip label={`Receipt ${receipt.number}`}>
        <EdgeText>
          <dl>
            {receiptLines(receipt, timeWords).map((line) => (
              <div key={line.name} className="py-4 sm:flex sm:gap-16">
                <dt className="text-label text-quiet sm:w-name sm:shrink-0">{line.name}</dt>
                <dd className={`min-w-0 wrap-anywhere ${line.mono ? 'font-mono' : ''}`}>{line.value}</dd>
              </div>
            ))}
          </dl>
        </EdgeText>
        <div className="edge-block pt-16">
          <EdgeRow className="line-above py-8" money={<Money amount={receipt.amount} />}>
            {paidName(receipt)}
          </EdgeRow>
          <EdgeRow className="total-above py-8 font-medium" money={<Money amount={receipt.credits} />}>
            Prepaid credits added
          </EdgeRow>
        </div>
        <EdgeText className="grid gap-8 pt-8">
          {receipt.tax_note && <p>{receipt.tax_note}</p>}
          <p>
            {receipt.terms} The{' '}
            <Link {...paths.refundPolicy({ version: receipt.terms_version })} className={linkClass}>
              refund policy of {receipt.terms_version}
            </Link>{' '}
            applies.
          </p>
          <p className="text-label text-quiet">
            Questions:{' '}
            <a href={`mailto:${receipt.seller.support_email}`} className={linkClass}>
              {receipt.seller.support_email}
            </a>
          </p>
        </EdgeText>
      </Slip>
      <EdgeText className="flex flex-wrap items-center gap-16 pt-24 pb-48">
        <a href={endpoints.receiptPdf(receipt.topup_id)} className={buttonClass('primary')}>
          Open the PDF
        </a>
        <Link {...paths.topup(receipt.topup_id)} className={linkClass}>
          The top-up
        </Link>
      </EdgeText>
    </Page>
  )
}
