import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import type { ApiKey, NewApiKey } from '../../contract/contract.ts'
import { api } from '../api.ts'
import { paths } from '../paths.ts'
import { usePress } from '../press.ts'
import { endedKeysRead, keysRead, siteRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Button, linkClass } from '../ui/Button.tsx'
import { Copy } from '../ui/Copy.tsx'
import { EdgeText, Slip } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Pager } from '../ui/Pager.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { longDay, zoneWords } from '../ui/times.ts'
import { Refused, Section } from './forms.tsx'
import { NewKey } from './NewKey.tsx'
import { SettingsPage } from './SettingsPage.tsx'
import { scopeWords } from './scopes.ts'

/** Keys that work at the same time, as the server has it. */
const KEYS_MAX = 20

export function KeysPage() {
  return <SettingsPage title="API keys">{() => <Keys />}</SettingsPage>
}

function Keys() {
  const base = useQuery(siteRead).data?.public_url
  const zone = useZone()
  const keys = useQuery(keysRead)
  const [fresh, setFresh] = useState<NewApiKey | null>(null)
  const [revoked, setRevoked] = useState<ApiKey | null>(null)
  const list = useRef<HTMLHeadingElement>(null)
  return (
    <>
      <EdgeText className="grid grid-cols-1 gap-12 pb-24">
        <p className="max-w-reading">
          With an API key a program does what you allow it to, in your name and with your credits. How, stands in the{' '}
          <Link {...paths.docs()} className={linkClass}>
            docs
          </Link>
          .
        </p>
        {base && (
          <div className="grid gap-4">
            <p className="text-label font-medium">Base address, for the host setting of your client</p>
            <p className="flex flex-wrap items-center gap-8">
              <code className="font-mono wrap-anywhere">{base}/api/v1</code>
              <Copy text={`${base}/api/v1`} named="the base address" />
            </p>
          </div>
        )}
      </EdgeText>
      {fresh && base && (
        <ShownOnce
          made={fresh}
          base={base}
          close={() => {
            setFresh(null)
            list.current?.focus()
          }}
        />
      )}
      {revoked && (
        <div className="edge-block pb-24">
          <Notice tone="arrived" takesFocus key={revoked.id}>
            <p>“{revoked.name}” is revoked. Nothing can be done with it any more.</p>
          </Notice>
        </div>
      )}
      <EdgeText className="pb-4">
        <h2 ref={list} tabIndex={-1} className="text-lead font-medium outline-none">
          Keys that work
        </h2>
        <p className="pt-4 text-note text-quiet">
          Times in {zoneWords(zone)}. A daily cap counts by the days of this time zone.
        </p>
      </EdgeText>
      {keys.isPending && <Loading />}
      {keys.isError && !keys.data && <ReadProblem error={keys.error} again={() => keys.refetch()} />}
      {keys.data && (
        <Working
          keys={keys.data}
          revoked={(key) => {
            setRevoked(key)
            // What stands there of a new key is no longer true of this one.
            if (fresh?.id === key.id) setFresh(null)
          }}
        />
      )}
      <div className="edge-block pt-32">
        {keys.data && keys.data.length >= KEYS_MAX ? (
          <Section title="Make a key">
            <p>
              You have {KEYS_MAX} keys that work, and more are not given. Revoke one that you do not use; then you can
              make another.
            </p>
          </Section>
        ) : (
          <NewKey
            done={(made) => {
              setRevoked(null)
              setFresh(made)
            }}
          />
        )}
      </div>
      <Ended />
    </>
  )
}

/** The only time that the key itself is seen. */
function ShownOnce({ made, base, close }: { made: NewApiKey; base: string; close: () => void }) {
  const line = `curl -H "Authorization: Bearer ${made.key}" ${base}/api/v1/balance`
  return (
    <div className="edge-block pb-32">
      <Slip label={`The new key ${made.name}`}>
        <EdgeText className="grid grid-cols-1 gap-16">
          <div>
            <h2 ref={(title) => title?.focus()} tabIndex={-1} className="text-lead font-medium outline-none">
              Your key “{made.name}” works from now on
            </h2>
            <p>
              It is shown this once: copy it now, and keep it where you keep passwords. We know only its first letters.
            </p>
          </div>
          <p className="flex flex-wrap items-center gap-8">
            <code className="font-mono wrap-anywhere">{made.key}</code>
            <Copy text={made.key} named="the key" />
          </p>
          {made.scopes.includes('read') ? (
            <div className="grid gap-4">
              <p className="text-label font-medium">Try it: this line answers with your balance</p>
              <p className="flex flex-wrap items-center gap-8">
                <code className="font-mono wrap-anywhere">{line}</code>
                <Copy text={line} named="the line" />
              </p>
              {made.addresses.length > 0 && (
                <p className="text-note text-quiet">
                  From the addresses that the key names; from others it is refused.
                </p>
              )}
            </div>
          ) : (
            <p className="text-quiet">This key may not read, so there is nothing harmless to try it with.</p>
          )}
          <div>
            <Button onClick={close}>I have copied it</Button>
          </div>
        </EdgeText>
      </Slip>
    </div>
  )
}

function Working({ keys, revoked }: { keys: ApiKey[]; revoked: (key: ApiKey) => void }) {
  const [asked, ask] = useState<string | null>(null)
  return (
    <Statement
      label="Keys that work"
      columns={[
        ...columns,
        {
          head: <span className="sr-only">Revoke</span>,
          kind: 'text',
          narrow: 'second-right',
          cell: (key) => (
            <Button
              onClick={() => ask(asked === key.id ? null : key.id)}
              aria-expanded={asked === key.id}
              aria-label={`Revoke the key ${key.name}`}
            >
              Revoke
            </Button>
          ),
        },
        cap,
      ]}
      rows={keys}
      keyOf={(key) => key.id}
      below={(key) => asked === key.id && <Revoke apiKey={key} done={revoked} leave={() => ask(null)} />}
      empty="Your keys will stand here. Make one below."
    />
  )
}

/** What revoking means stands here before it is done. */
function Revoke({ apiKey, done, leave }: { apiKey: ApiKey; done: (key: ApiKey) => void; leave: () => void }) {
  const cache = useQueryClient()
  const { press, go } = usePress<string, ApiKey>(
    (id) => api.revokeKey(id),
    (key) => {
      void cache.invalidateQueries({ queryKey: ['keys'] })
      done(key)
    },
  )
  return (
    <div className="grid max-w-reading gap-8 pb-4">
      <Refused lead="" problems={[]} press={press} />
      <p>
        Every program that uses “{apiKey.name}” is refused from then on, and what it listens to ends. Its open orders
        stay open, and their codes come to these pages. A revoked key cannot be brought back.
      </p>
      <div className="flex flex-wrap gap-8">
        <Button onClick={() => go(apiKey.id)}>
          {press.state === 'pending' ? 'Revoking' : `Revoke ${apiKey.prefix}…`}
        </Button>
        <Button onClick={leave}>Keep it</Button>
      </div>
    </div>
  )
}

function Ended() {
  const keys = useInfiniteQuery(endedKeysRead)
  const rows = keys.data?.pages.flatMap((page) => page.items) ?? []
  if (rows.length === 0) return null
  return (
    <>
      <EdgeText className="pt-8 pb-4">
        <h2 className="text-lead font-medium">Keys that have ended</h2>
      </EdgeText>
      <Statement
        label="Keys that have ended"
        columns={[...columns, cap]}
        rows={rows}
        keyOf={(key) => key.id}
        quiet={() => true}
        empty=""
      />
      <EdgeText className="pt-16 pb-48">
        <Pager pages={keys} />
      </EdgeText>
    </>
  )
}

const columns: Column<ApiKey>[] = [
  {
    head: 'Key',
    kind: 'text',
    narrow: 'first',
    cell: (key) => (
      <>
        <span className="font-medium wrap-anywhere">{key.name}</span>{' '}
        <span className="font-mono whitespace-nowrap text-quiet">{key.prefix}…</span>
      </>
    ),
  },
  {
    head: 'May',
    kind: 'text',
    narrow: 'second',
    cell: (key) => (
      <>
        <span className="block">{key.scopes.map((scope) => scopeWords[scope].short).join(', ')}</span>
        <Limits apiKey={key} />
        <span className="block sm:hidden">
          <LastUsed apiKey={key} />
        </span>
      </>
    ),
  },
  { head: 'Last used', kind: 'text', narrow: 'hidden', cell: (key) => <LastUsed apiKey={key} /> },
]

const cap: Column<ApiKey> = {
  head: 'Daily cap',
  kind: 'edge',
  narrow: 'first-right',
  cell: (key) =>
    key.daily_cap === null ? <span className="text-quiet">no cap</span> : <Money amount={key.daily_cap} />,
}

function LastUsed({ apiKey }: { apiKey: ApiKey }) {
  if (!apiKey.last_used_at) return <span className="text-quiet">never used</span>
  return (
    <span>
      <span className="sm:hidden">last used </span>
      <Time at={apiKey.last_used_at} precision="minutes" />{' '}
      <span className="wrap-anywhere text-quiet">from {apiKey.last_used_address}</span>
    </span>
  )
}

/** From where, and until when; or when it ended. */
function Limits({ apiKey }: { apiKey: ApiKey }) {
  const zone = useZone()
  return (
    <>
      {apiKey.addresses.length > 0 && (
        <span className="block wrap-anywhere text-quiet">from {apiKey.addresses.join(', ')} only</span>
      )}
      {apiKey.status === 'revoked' && (
        <span className="block">
          revoked <Time at={apiKey.revoked_at!} precision="minutes" />
        </span>
      )}
      {apiKey.expires_at && apiKey.status !== 'revoked' && (
        <span className="block text-quiet">
          {apiKey.status === 'expired' ? 'ended' : 'until'} {longDay(apiKey.expires_at, zone)}
        </span>
      )}
    </>
  )
}
