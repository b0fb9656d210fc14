import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useId, useState } from 'react'
import type { StaffCryptoItem, StaffCryptoLookup } from '../../contract/contract.ts'
import { displayAmount, printAmount, readAmount, usd } from '../../contract/money.ts'
import { api } from '../api.ts'
import { paths } from '../paths.ts'
import { usePress } from '../press.ts'
import { meRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { AmountField, Field, Select } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Pager } from '../ui/Pager.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time } from '../ui/Time.tsx'
import { type Fact, Facts, factsOf, monoFact, TransactionId } from './Facts.tsx'
import { Halted } from './Halted.tsx'
import { History } from './History.tsx'
import { staffCryptoRead } from './reads.ts'
import { StateFilter } from './StateFilter.tsx'

const states = [
  { value: '', text: 'Everything' },
  { value: 'open', text: 'Open' },
  { value: 'closed', text: 'Decided' },
]
const networks = [
  { value: 'bitcoin', text: 'Bitcoin' },
  { value: 'litecoin', text: 'Litecoin' },
  { value: 'ethereum', text: 'Ethereum' },
  { value: 'other', text: 'Another network' },
]
const WHY_CHARACTERS_MAX = 500

/** Payments on chains that no rule decides: what is known of each, and what a person decides. */
export function CryptoPage() {
  const search = getRouteApi('/staff/staff/crypto').useSearch()
  const navigate = useNavigate()
  const pages = useInfiniteQuery(staffCryptoRead(search))
  const rows = pages.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Page title="Crypto" width="full">
      <Halted />
      <LookUp />
      <StateFilter
        states={states}
        status={search.status}
        show={(wanted) => void navigate({ ...paths.staffCrypto(wanted), replace: true, resetScroll: false })}
      />
      {pages.isPending && <Loading />}
      {pages.isError && !pages.data && <ReadProblem error={pages.error} again={() => pages.refetch()} />}
      {pages.data && (
        <Statement
          label="Payments that need a look"
          columns={columns}
          rows={rows}
          keyOf={(item) => item.id}
          quiet={(item) => item.decided !== null}
          below={(item) => <WhatToDo item={item} />}
          tall
          empty={search.status === 'closed' ? 'Nothing was decided yet.' : 'No payment needs a look.'}
        />
      )}
      <EdgeText className="pt-16 pb-48">
        <Pager pages={pages} />
      </EdgeText>
    </Page>
  )
}

/** A transaction that somebody asks about: what it pays to us, and whether it needs a look. */
function LookUp() {
  const cache = useQueryClient()
  const heading = useId()
  const [asked, ask] = useState({ chain: 'bitcoin', transaction_id: '', network: '', address: '' })
  const [found, show] = useState<StaffCryptoLookup | null>(null)
  const { press, go } = usePress<'look', StaffCryptoLookup>(
    () => {
      const { chain, transaction_id, network, address } = asked
      return api.lookUpCrypto(
        chain === 'other' ? { chain, transaction_id, network, address } : { chain, transaction_id },
      )
    },
    (value) => {
      show(value)
      void cache.invalidateQueries({ queryKey: ['staff', 'crypto'] })
    },
  )
  const set = (change: Partial<typeof asked>) => ask({ ...asked, ...change })
  return (
    <EdgeText className="pb-24">
      <section aria-labelledby={heading} className="grid max-w-reading gap-12">
        <h2 id={heading} className="text-body font-strong">
          Look up a transaction
        </h2>
        <form
          className="grid gap-12"
          onSubmit={(event) => {
            event.preventDefault()
            show(null)
            void go('look')
          }}
        >
          <div className="grid gap-12 sm:grid-cols-[auto_minmax(0,1fr)]">
            <Select
              label="Network"
              options={networks}
              value={asked.chain}
              onChange={(event) => set({ chain: event.currentTarget.value })}
            />
            <Field
              label="Transaction id"
              value={asked.transaction_id}
              maxLength={200}
              autoComplete="off"
              spellCheck={false}
              onChange={(event) => set({ transaction_id: event.currentTarget.value })}
            />
          </div>
          {asked.chain === 'other' && (
            <div className="grid gap-12 sm:grid-cols-2">
              <Field
                label="Which network"
                hint="We do not ask it: what you say is written down."
                value={asked.network}
                maxLength={60}
                onChange={(event) => set({ network: event.currentTarget.value })}
              />
              <Field
                label="To which address of ours"
                value={asked.address}
                maxLength={120}
                autoComplete="off"
                spellCheck={false}
                onChange={(event) => set({ address: event.currentTarget.value })}
              />
            </div>
          )}
          <div>
            <Button type="submit" disabled={press.state === 'pending' || asked.transaction_id.trim() === ''}>
              Look it up
            </Button>
          </div>
        </form>
        {press.state === 'refused' && (
          <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
            <p>{press.refusal.detail}</p>
          </Notice>
        )}
        {found && <Found found={found} />}
      </section>
    </EdgeText>
  )
}

function Found({ found }: { found: StaffCryptoLookup }) {
  return (
    <div aria-live="polite" className="grid gap-4">
      <p>{found.detail}</p>
      <ul className="text-note">
        {found.pays.map((paid) => (
          <li key={`${paid.address}${paid.asset_amount}${paid.contract}`} className="wrap-anywhere">
            {paid.asset_amount === null ? `A token (${paid.contract})` : `${paid.asset_amount} ${paid.asset}`} to{' '}
            <span className="font-mono">{paid.address}</span>, {paid.username ?? 'nobody’s'}
            {paid.topup_id === null ? '' : `, ${paid.topup_id}`}
            {paid.followed ? '' : ': nobody follows it'}
          </li>
        ))}
      </ul>
    </div>
  )
}

const columns: Column<StaffCryptoItem>[] = [
  {
    head: 'Since',
    kind: 'text',
    narrow: 'second',
    width: 'sm:w-day-and-time',
    cell: (item) => <Time at={item.opened_at} precision="minutes" />,
  },
  {
    head: 'What, and what to do',
    kind: 'text',
    narrow: 'first',
    cell: (item) => (
      <>
        <span className="block wrap-anywhere">{item.what}</span>
        {item.decided === null && <span className="block text-note text-quiet">{item.to_do}</span>}
      </>
    ),
  },
  { head: 'Whose', kind: 'text', narrow: 'hidden', width: 'sm:w-name', cell: (item) => item.username ?? 'Nobody’s' },
  {
    head: 'How it stands',
    kind: 'text',
    narrow: 'second-right',
    width: 'sm:w-name',
    cell: (item) => statuses[item.status],
  },
  {
    head: 'Worth, $',
    kind: 'edge',
    narrow: 'first-right',
    cell: (item) => {
      const worth = item.credit ?? item.worth ?? item.value
      return worth === null ? <span className="text-quiet">not known</span> : displayAmount(worth).replace('$', '')
    },
  },
]

const statuses: Record<StaffCryptoItem['status'], string> = {
  open: 'Open',
  credit_asked: 'A second person must agree',
  credited: 'Credited by decision',
  left: 'Left',
  recovered: 'Recovered',
  settled: 'Became right by itself',
}

function WhatToDo({ item }: { item: StaffCryptoItem }) {
  return (
    <div className="grid gap-12">
      <Facts facts={known(item)} />
      {item.may.length > 0 && <Decide item={item} />}
      <History actions={item.history} />
    </div>
  )
}

function known(item: StaffCryptoItem): Fact[] {
  const { transaction_id, explorer_url, height, confirmations, confirmations_required } = item
  return factsOf(
    item.username === null ? null : { name: 'Customer', value: item.username, narrow: true },
    { name: 'Transaction', value: <TransactionId id={transaction_id} explorer={explorer_url} /> },
    confirmations === null
      ? null
      : {
          name: 'Block',
          value: height === null ? 'in none' : `${height}, ${confirmations} of ${confirmations_required} confirmations`,
        },
    monoFact('Address', item.address),
    monoFact('Token', item.contract),
    monoFact('Top-up', item.topup_id),
  )
}

function Decide({ item }: { item: StaffCryptoItem }) {
  const me = useQuery(meRead).data
  const cache = useQueryClient()
  const [why, setWhy] = useState('')
  const [typed, setTyped] = useState('')
  const [topup, setTopup] = useState(item.topup_id ?? '')
  const { press, go } = usePress<'credit' | 'leave' | 'recover', StaffCryptoItem>(
    (action) =>
      api.closeCryptoItem(item.id, {
        action,
        why,
        ...(action === 'credit' && typed.trim() ? { amount: typed.trim() } : {}),
        ...(action === 'credit' && topup.trim() ? { topup_id: topup.trim() } : {}),
      }),
    () => void cache.invalidateQueries({ queryKey: ['staff', 'crypto'] }),
  )
  const busy = press.state === 'pending'
  const asked = item.status === 'credit_asked'
  const mine = asked && item.asked?.by === me?.username
  const credits = item.may.includes('credit')
  const refusal = press.state === 'refused' ? press.refusal : null
  const problemOf = (field: string) => (refusal?.field === field ? refusal.detail : undefined)
  const beside = credits && !asked && (problemOf('amount') ?? problemOf('topup_id')) !== undefined
  return (
    <div className="grid max-w-reading gap-12">
      {asked && (
        <p className="text-label">
          {item.asked?.by} asked to credit {displayAmount(item.credit ?? '0.00')} to {item.username}. It is credited
          when another person, an approver, agrees.
        </p>
      )}
      {refusal && !beside && (
        <Notice tone="refused" takesFocus requestId={refusal.requestId}>
          <p>{refusal.detail}</p>
        </Notice>
      )}
      {credits && !asked && (
        <div className="grid items-start gap-12 sm:grid-cols-2">
          <AmountField
            label="Credit"
            hint={withoutAnAmount(item)}
            problem={problemOf('amount')}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
          <Field
            label="To the top-up"
            problem={problemOf('topup_id')}
            hint={item.topup_id === null ? 'Of whoever sent it: from the page of his top-up.' : undefined}
            value={topup}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => setTopup(event.currentTarget.value)}
          />
        </div>
      )}
      <Field
        label="Why, for your colleagues"
        value={why}
        maxLength={WHY_CHARACTERS_MAX}
        autoComplete="off"
        onChange={(event) => setWhy(event.currentTarget.value)}
      />
      <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
        {credits && (
          <Button disabled={busy || mine} onClick={() => go('credit')}>
            {asked ? `Agree: credit ${displayAmount(item.credit ?? '0.00')}` : creditWords(item, typed)}
          </Button>
        )}
        {mine && <p className="text-note text-quiet">Not by you: you asked for it.</p>}
        <Button disabled={busy} onClick={() => go('leave')}>
          Leave it: credit nothing
        </Button>
        {item.may.includes('recover') && (
          <Button disabled={busy} onClick={() => go('recover')}>
            Mark as recovered
          </Button>
        )}
      </div>
      {credits && !asked && (
        <p className="text-note text-quiet">
          Above {displayAmount(item.second_person_above)} a second person must agree.
        </p>
      )}
    </div>
  )
}

/** What a payment is credited at when nobody says how much: what the rules made of it, or by the rate of its block. */
function withoutAnAmount(item: StaffCryptoItem): string {
  if (item.worth !== null) return `Left empty: ${displayAmount(item.worth)}, as the rules value it.`
  return item.state === null ? 'How many dollars it brought.' : 'Left empty: by the rate of its block.'
}

function creditWords(item: StaffCryptoItem, typed: string): string {
  const amount = typed.trim() === '' ? (item.worth === null ? null : usd(item.worth)) : readAmount(typed.trim())
  if (amount === null) return 'Credit it'
  const words = displayAmount(printAmount(amount))
  return amount > usd(item.second_person_above) ? `Ask to credit ${words}` : `Credit ${words}`
}
