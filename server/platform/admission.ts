/**
 * A turnstile: lets in as many at a time as can be worked on, lets a burst wait for a moment, and sends the rest away before anything was
 * done for them, while that is still cheap. Beyond its capacity a server without turnstiles answers everybody too late; with them it
 * answers as many as ever, in time, and tells the others when to come back.
 *
 * Who may wait, and for how long (controlled delay; Nichols and Jacobson, "Controlling queue delay", and its use for servers in
 * Maurer, "Fail at scale"): as long as the line was empty a moment ago (`patienceMs`) it is a burst, served in its order. A line that
 * has not been empty for that long is overload: waiting shortens nothing then, it only makes every answer late. From then on whoever
 * comes pushes out those who have waited longer than `hurryMs`, and a place that becomes free goes to the last in line: he has waited
 * least, and the first ones are late already. A burst that nobody follows is served to its end. A free place is never left empty while
 * somebody is there to take it, however slow the machine is; there is nothing to tune by its speed.
 */
import { pause } from './clock.ts'
import { requestsInside, requestsShed, requestsWaiting } from './metrics.ts'

export type Turnstile = ReturnType<typeof createTurnstile>

const LOOK_MS = 25
/** Nobody waits longer, whatever happens inside. */
const GIVE_UP_MS = 5_000
/** By each who comes: more than one, so that a line that stood becomes short. */
const PUSHED_OUT_MAX = 2
const SECOND_MS = 1_000
const RETRY_AFTER_SECONDS_MAX = 30

export function createTurnstile(settings: {
  /** As the metrics name it. */
  name: string
  /** Worked on at a time. */
  insideMax: number
  /** In line at a time. */
  waitingMax: number
  /** A line that ends within this is a burst. Unit: milliseconds. */
  patienceMs: number
  /** Under overload, whoever has waited longer goes when somebody comes. Unit: milliseconds. */
  hurryMs: number
  /** Tests move it by hand. Unit: milliseconds. */
  clock?: () => number
}) {
  const { insideMax, waitingMax, patienceMs, hurryMs, clock = () => performance.now() } = settings
  const label = { turnstile: settings.name }
  const insideGauge = requestsInside.labels(label)
  const waitingGauge = requestsWaiting.labels(label)
  const shedCounter = requestsShed.labels(label)
  // A figure that is zero is there, and can be watched.
  insideGauge.set(0)
  waitingGauge.set(0)
  shedCounter.inc(0)
  let inside = 0
  const line: { since: number; isGone: () => boolean; go: (in_: boolean) => void }[] = []
  let emptyAt = clock()
  let looking = false
  let second = { begun: clock(), served: 0, shed: 0 }
  let secondBefore = { served: 0, shed: 0 }

  function countSecond(what: 'served' | 'shed'): void {
    const now = clock()
    if (now - second.begun >= SECOND_MS) {
      secondBefore = now - second.begun < 2 * SECOND_MS ? second : { served: 0, shed: 0 }
      second = { begun: now, served: 0, shed: 0 }
    }
    second[what]++
  }

  function sendAway(): false {
    countSecond('shed')
    shedCounter.inc()
    return false
  }

  /** Lets in whoever has room, and sends away who has waited for too long or has left. */
  function moveUp(comes: boolean): void {
    const now = clock()
    const isOverload = now - emptyAt > patienceMs
    while (inside < insideMax) {
      const next = isOverload ? line.pop() : line.shift()
      if (!next) break
      if (now - next.since > GIVE_UP_MS) next.go(sendAway())
      else if (next.isGone()) next.go(false)
      else {
        inside++
        next.go(true)
      }
    }
    let pushedOutMax = isOverload && comes ? PUSHED_OUT_MAX : 0
    for (let first = line[0]; first; first = line[0]) {
      const waited = now - first.since
      const isPushedOut = waited > hurryMs && pushedOutMax-- > 0
      if (!isPushedOut && waited <= GIVE_UP_MS) break
      line.shift()
      first.go(sendAway())
    }
    insideGauge.set(inside)
    waitingGauge.set(line.length)
    if (line.length === 0) emptyAt = now
    else if (!looking) void lookLater()
  }

  /** Nobody leaves, perhaps for long: who waits must be told all the same. */
  async function lookLater(): Promise<void> {
    looking = true
    await pause(LOOK_MS)
    looking = false
    moveUp(false)
  }

  return {
    /** True: in, and `leave` must follow. False: nothing was done, nor will be. `isGone`: whoever asked has hung up. */
    enter(isGone: () => boolean): boolean | Promise<boolean> {
      if (line.length === 0 && inside < insideMax) {
        inside++
        insideGauge.set(inside)
        emptyAt = clock()
        return true
      }
      if (line.length >= waitingMax) return sendAway()
      if (line.length === 0) emptyAt = clock()
      return new Promise((go) => {
        line.push({ since: clock(), isGone, go })
        moveUp(true)
      })
    },

    leave(): void {
      inside--
      countSecond('served')
      moveUp(false)
    },

    /**
     * When it is worth coming back: after as long as it takes to serve everybody who was sent away within a second, or who waits.
     * Unit: whole seconds, 1 to 30.
     */
    retryAfterSeconds(): number {
      const served = Math.max(1, second.served, secondBefore.served)
      const turnedAway = Math.max(second.shed, secondBefore.shed)
      return Math.min(RETRY_AFTER_SECONDS_MAX, Math.max(1, Math.ceil((turnedAway + line.length) / served)))
    },
  }
}
