import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { type BillingSearch, paths } from '../paths.ts'
import { historyRead, topupsRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { TopupsOnTheirWay } from '../topup/TopupOnItsWay.tsx'
import { linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { DayFields, Select } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Pager } from '../ui/Pager.tsx'
import { useZone } from '../ui/Time.tsx'
import { zoneWords } from '../ui/times.ts'
import { Movements } from './Movements.tsx'

const types = [
  { value: '', text: 'Everything' },
  { value: 'topup', text: 'Top-ups' },
  { value: 'deduction', text: 'Deductions' },
  { value: 'hold', text: 'Holds' },
  { value: 'release', text: 'Releases' },
  { value: 'topup_refund', text: 'Returned' },
  { value: 'dispute,reversal', text: 'Disputes, and taken back' },
]

export function Billing() {
  const search = getRouteApi('/billing').useSearch()
  const zone = useZone()
  const pages = useInfiniteQuery(historyRead(search))
  const rows = pages.data?.pages.flatMap((page) => page.items) ?? []
  const filtered = Boolean(search.type || search.from || search.to)
  return (
    <Page title="Billing History">
      {!filtered && <OnTheirWay />}
      <Filters search={search} />
      <EdgeText className="pt-24 pb-4 text-note text-quiet">
        Times in {zoneWords(zone)}. Balance is what you own: available and held.
      </EdgeText>
      {pages.isPending && <Loading />}
      {pages.isError && !pages.data && <ReadProblem error={pages.error} again={() => pages.refetch()} />}
      {pages.data && (
        <Movements
          label="Billing History"
          rows={rows}
          byDay
          empty={
            filtered ? (
              <>
                Nothing happened that fits.{' '}
                <Link {...paths.billing()} className={linkClass}>
                  Show everything
                </Link>
              </>
            ) : (
              <>
                Your movements will stand here.{' '}
                <Link {...paths.topUp()} className={linkClass}>
                  Top up
                </Link>
              </>
            )
          }
        />
      )}
      <EdgeText className="pt-16 pb-48">
        <Pager pages={pages} />
      </EdgeText>
    </Page>
  )
}

function OnTheirWay() {
  return <TopupsOnTheirWay topups={useQuery(topupsRead).data ?? []} />
}

function Filters({ search }: { search: BillingSearch }) {
  const navigate = useNavigate()
  const set = (change: Partial<Record<keyof BillingSearch, string | undefined>>) => {
    const next = Object.fromEntries(Object.entries({ ...search, ...change }).filter(([, value]) => value))
    void navigate({ ...paths.billing(next), replace: true, resetScroll: false })
  }
  return (
    <EdgeText>
      <search className="grid grid-cols-2 gap-12 sm:flex sm:flex-wrap sm:items-end">
        <div className="max-sm:col-span-2">
          <Select
            label="What"
            options={types}
            value={search.type ?? ''}
            onChange={(event) => set({ type: event.currentTarget.value })}
          />
        </div>
        <DayFields from={search.from} to={search.to} set={set} />
        {!search.type && (
          <label className="flex min-h-row items-center gap-8 text-label max-sm:col-span-2">
            <input
              type="checkbox"
              className="size-16"
              checked={search.holds !== 'hidden'}
              onChange={(event) => set({ holds: event.currentTarget.checked ? undefined : 'hidden' })}
            />
            Holds and releases
          </label>
        )}
      </search>
    </EdgeText>
  )
}
