import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import type { Order, OrderStatus } from '../../contract/contract.ts'
import { type OrdersSearch, paths } from '../paths.ts'
import { countriesRead, ordersRead, searchDigits, servicesRead, useNames } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { linkClass, rowLinkClass } from '../ui/Button.tsx'
import { Code } from '../ui/Code.tsx'
import { useNow } from '../ui/clock.ts'
import { EdgeText } from '../ui/Edge.tsx'
import { DayFields, Field, Select } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Pager } from '../ui/Pager.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { dayKey, longDay, zoneWords } from '../ui/times.ts'
import { PriceNow } from './OrderSlip.tsx'
import { stageOf } from './order.ts'

const statusWords: Record<OrderStatus, string> = {
  requested: 'Getting a number',
  waiting: 'Waiting for a code',
  received: 'Code received',
  finished: 'Finished',
  cancelled: 'Cancelled',
  expired: 'No code came',
  failed: 'No number',
}

const states = [
  { value: '', text: 'Everything' },
  { value: 'open', text: 'Open' },
  { value: 'ended', text: 'Ended' },
  ...(['waiting', 'received', 'finished', 'cancelled', 'expired'] as const).map((status) => ({
    value: status,
    text: statusWords[status],
  })),
]

/** Every order, by day, with filters in the address. */
export function OrdersPage() {
  const search = getRouteApi('/numbers/orders').useSearch()
  const zone = useZone()
  const pages = useInfiniteQuery(ordersRead(search))
  const rows = pages.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Page
      title="Your orders"
      above={
        <nav aria-label="Where this page stands" className="pb-4 text-label text-quiet">
          <Link {...paths.numbers()} className="underline underline-offset-4 hover:no-underline">
            Numbers
          </Link>
        </nav>
      }
    >
      <Filters search={search} />
      <EdgeText className="pt-24 pb-4 text-note text-quiet">Times in {zoneWords(zone)}.</EdgeText>
      {pages.isPending && <Loading />}
      {pages.isError && !pages.data && <ReadProblem error={pages.error} again={() => pages.refetch()} />}
      {pages.data && <Orders rows={rows} filtered={Object.keys(search).length > 0} />}
      <EdgeText className="pt-16 pb-48">
        <Pager pages={pages} />
      </EdgeText>
    </Page>
  )
}

function Orders({ rows, filtered }: { rows: Order[]; filtered: boolean }) {
  const names = useNames()
  const zone = useZone()
  const now = useNow()
  const columns: Column<Order>[] = [
    {
      head: 'When',
      kind: 'text',
      narrow: 'hidden',
      width: 'sm:w-when',
      cell: (order) => (
        <span className="text-quiet">
          <Time at={order.created_at} precision="bare" />
        </span>
      ),
    },
    {
      head: 'Order',
      kind: 'text',
      narrow: 'first',
      cell: (order) => (
        <Link {...paths.order(order.id)} className={rowLinkClass}>
          {names.service(order.service)}, {names.country(order.country)}{' '}
          <span className="text-quiet max-lg:block">
            <Code text={String(order.number)} />
          </span>
        </Link>
      ),
    },
    {
      head: 'Number',
      kind: 'text',
      narrow: 'hidden',
      cell: (order) => (
        <span className="inline-block min-w-name">
          <Code text={order.phone_number} lead={names.dialCode(order.country)} />
        </span>
      ),
    },
    {
      head: 'State',
      kind: 'text',
      narrow: 'second',
      cell: (order) => (
        <>
          <span className="sm:hidden">
            <Time at={order.created_at} precision="bare" />{' '}
          </span>
          {order.status === 'received' && order.another_code_requested_at !== null
            ? 'Waiting for another code'
            : statusWords[order.status]}
        </>
      ),
    },
    {
      head: 'Price',
      kind: 'edge',
      narrow: 'first-right',
      cell: (order) => <PriceNow order={order} stage={stageOf(order, now)} />,
    },
  ]
  return (
    <Statement
      label="Your orders"
      columns={columns}
      rows={rows}
      keyOf={(order) => order.id}
      groupOf={(order) => ({ key: dayKey(order.created_at, zone), title: longDay(order.created_at, zone) })}
      quiet={(order) => order.status === 'cancelled' || order.status === 'expired' || order.status === 'failed'}
      empty={
        filtered ? (
          <>
            No order fits.{' '}
            <Link {...paths.orders()} className={linkClass}>
              Show everything
            </Link>
          </>
        ) : (
          <>
            Your orders will stand here.{' '}
            <Link {...paths.numbers()} className={linkClass}>
              Order a number
            </Link>
          </>
        )
      }
    />
  )
}

function Filters({ search }: { search: OrdersSearch }) {
  const navigate = useNavigate()
  const services = useQuery(servicesRead).data ?? []
  const countries = useQuery(countriesRead).data ?? []
  const set = (change: Partial<Record<keyof OrdersSearch, string>>) => {
    const next = Object.fromEntries(Object.entries({ ...search, ...change }).filter(([, value]) => value))
    void navigate({ ...paths.orders(next), replace: true, resetScroll: false })
  }
  const named = (list: { code: string; name: string }[]) => [
    { value: '', text: 'All' },
    ...list.map(({ code, name }) => ({ value: code, text: name })),
  ]
  return (
    <EdgeText>
      <search className="grid grid-cols-2 gap-12 sm:flex sm:flex-wrap sm:items-start">
        <div className="max-sm:col-span-2">
          <Field
            label="Order or phone number"
            type="search"
            inputMode="tel"
            autoComplete="off"
            spellCheck={false}
            defaultValue={search.q ?? ''}
            onChange={(event) => set({ q: event.currentTarget.value })}
            hint={search.q && !searchDigits(search.q) ? 'Type 3 to 15 digits' : undefined}
          />
        </div>
        <div className="max-sm:col-span-2">
          <Select
            label="State"
            options={states}
            value={search.status ?? ''}
            onChange={(event) => set({ status: event.currentTarget.value })}
          />
        </div>
        <Select
          label="Service"
          options={named(services)}
          value={search.service ?? ''}
          onChange={(event) => set({ service: event.currentTarget.value })}
        />
        <Select
          label="Country"
          options={named(countries)}
          value={search.country ?? ''}
          onChange={(event) => set({ country: event.currentTarget.value })}
        />
        <div className="contents sm:flex sm:gap-12">
          <DayFields from={search.from} to={search.to} set={set} />
        </div>
      </search>
    </EdgeText>
  )
}
