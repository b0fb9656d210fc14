/** Receipts over HTTP. */
import type { Context } from 'hono'
import { receiptSchema, topupId, topupRefundId } from '../../contract/contract.ts'
import type { Routes } from '../accounts/accounts.ts'
import { answerRefusal, Refusal, type Refused } from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import type { Receipts } from './receipts.ts'

const PDF = 'application/pdf'

export function receiptsRoutes(table: Routes, receipts: Receipts): void {
  table.get(
    '/api/v1/receipts/:id.pdf',
    {
      policy: 'read',
      summary: 'Download the receipt of a top-up',
      description: 'As a PDF. There is one as soon as the credits were added.',
      params: { id: topupId },
      answers: { 200: PDF },
      refuses: ['not_found', 'not_credited'],
    },
    async (c) => {
      const id = fileOf(c)
      const pdf = await receipts.receiptPdf(c.get('caller').accountId, readId('top', id) ?? unknownTopup())
      if (pdf === null) return unknownTopup()
      if (pdf === 'not_credited') return answerRefusal(c, noReceipt)
      return file(c, pdf, `receipt-${id}`)
    },
  )

  table.get(
    '/api/v1/receipts/:id',
    {
      policy: 'read',
      summary: 'Read the receipt of a top-up',
      description: 'Who sold, who bought, by which card, when, and under which terms.',
      params: { id: topupId },
      answers: { 200: receiptSchema },
      refuses: ['not_found', 'not_credited'],
    },
    async (c) => {
      const id = readId('top', c.req.param('id')) ?? unknownTopup()
      const receipt = await receipts.receipt(c.get('caller').accountId, id)
      if (receipt === null) return unknownTopup()
      return receipt === 'not_credited' ? answerRefusal(c, noReceipt) : c.json(receipt)
    },
  )

  table.get(
    '/api/v1/receipts/refunds/:id.pdf',
    {
      policy: 'read',
      summary: 'Download the receipt of a refund to the card',
      description:
        'As a PDF. It names the receipt of the top-up, and the reference by which the bank finds the refund.',
      params: { id: topupRefundId },
      answers: { 200: PDF },
      refuses: ['not_found'],
    },
    async (c) => {
      const id = fileOf(c)
      const refundId = readId('ref', id)
      const pdf = refundId && (await receipts.refundPdf(c.get('caller').accountId, refundId))
      if (!pdf) {
        throw new Refusal({
          code: 'not_found',
          detail: 'There is no such refund among yours. The top-up that it is of lists its refunds; nothing was done.',
          field: 'id',
        })
      }
      return file(c, pdf, `refund-${id}`)
    },
  )
}

const noReceipt: Refused = {
  code: 'not_credited',
  detail:
    'Nothing stands credited by this top-up, so there is no receipt: it was not credited, or a chain took its payment back. Open the top-up to see how it stands, or whether money was taken at all.',
  field: 'id',
}

function file(c: Context, pdf: Buffer, name: string): Response {
  return c.body(new Uint8Array(pdf), 200, {
    'content-type': PDF,
    'content-disposition': `inline; filename="${name}.pdf"`,
    'cache-control': 'private, no-store',
  })
}

/** The last part of the path, without its ending. */
function fileOf(c: Context): string {
  return c.req.path
    .split('/')
    .at(-1)!
    .replace(/\.pdf$/, '')
}

function unknownTopup(): never {
  throw new Refusal({
    code: 'not_found',
    detail: 'There is no such top-up among yours. Look at your top-ups for the right one; nothing was done.',
    field: 'id',
  })
}
