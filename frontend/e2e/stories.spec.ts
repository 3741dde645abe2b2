import { expect, type Page, test } from '@playwright/test'
import { play } from './demo'

/**
 * Questions of README.md that other stories of the demo answer. Stories that
 * change nothing in common are played at the same time: a demo is for several
 * questions, and ends with them.
 */

const patient = { timeout: 60_000 }
const mirror = (page: Page) => page.getByRole('toolbar', { name: /Services and edges/ })
const panel = (page: Page) => page.getByRole('complementary').first()
const nodes = (page: Page) => page.getByRole('treegrid', { name: 'Nodes' })
const findings = (page: Page) => page.getByRole('region', { name: 'Findings' })

// A demo starts, and its stories take some seconds to be seen.
test.describe.configure({ timeout: 180_000 })

/** The demo that the tests of a group share. */
function shared(scenario: string): () => string {
  let demo: Awaited<ReturnType<typeof play>>
  test.beforeAll(async () => {
    demo = await play(scenario)
  })
  test.afterAll(() => demo.stop())
  return () => demo.url
}

const otherwise = (page: Page) => page.getByRole('region', { name: 'What it runs otherwise' })

test.describe('a sidecar that refuses a change', () => {
  const url = shared('nack')

  test('2: push says done; who refused it, in whose words, and what runs on?', async ({ page }) => {
    await page.goto(`${url()}/nodes`)
    await page.getByRole('group', { name: 'Show nodes by state' }).getByRole('button', { name: /1 rejected/ }).click(patient)
    await nodes(page).getByRole('row', { name: /^tickets-2\.booking/ }).click()
    await expect(nodes(page).getByText('NACK')).not.toHaveCount(0)
    await expect(nodes(page)).toContainText(/connect_timeout/)
    // What it lacks of the revision, by resource.
    await expect(otherwise(page)).toContainText(/cluster .*payments.* is missing/)
  })
})

test.describe('a sidecar that runs other than it acknowledged', () => {
  const url = shared('drift')

  test('1, 2: acknowledged is not applied; what runs instead?', async ({ page }) => {
    await page.goto(url())
    await findings(page).getByRole('link', { name: /tickets-2\.booking .*drifted/ }).click(patient)
    await expect(page).toHaveURL(/\/nodes\/tickets-2\.booking/)
    await expect(nodes(page)).toContainText(/Acknowledged revision \d+ but still runs revision 1 of route outbound/)
    // Field by field, with the value that runs and the one that should.
    await expect(otherwise(page)).toContainText(/route outbound/)
    await expect(otherwise(page).locator('ins').first()).toBeVisible()
  })
})

test.describe('a slow control plane, a lost sidecar, a lost trace', () => {
  const url = shared('slow-plane,never-connected,lost-trace')

  test('3: a proxy never reached the control plane; who notices?', async ({ page }) => {
    await page.goto(url())
    await findings(page).getByRole('link', { name: /expected~booking\/tickets@.* is never-connected/ }).click(patient)
    // It is opened on its page, and says what to do.
    await expect(page).toHaveURL(/\/nodes\/expected~booking/)
    const lost = nodes(page).getByRole('row', { name: /^expected~booking/ })
    await expect(lost).toContainText('never connected')
    await expect(nodes(page)).toContainText(/Expected for .*, but it has never connected to this server/)
    // The list keeps it in view, and can be asked for such nodes alone.
    await page.getByRole('link', { name: 'Nodes', exact: true }).click()
    await page.getByRole('group', { name: 'Show nodes by state' }).getByRole('button', { name: /1 never connected/ }).click()
    await expect(page).toHaveURL(/state=never-connected/)
    await expect(nodes(page).getByText('On it', { exact: true })).toHaveCount(0)
    await expect(lost).toBeVisible()
  })

  test('4: some nodes lag; who, and is it the plane or the node?', async ({ page }) => {
    await page.goto(`${url()}/nodes`)
    // Changes come every 12 s and take 700 ms a node: some wait while others have it.
    await expect(nodes(page).getByText(/^(slow|stale), not sent$/).first()).toBeVisible(patient)
    await expect(nodes(page).getByRole('row', { name: /^tickets-2\.booking/ }).getByText('slow, no ACK')).toBeVisible(patient)
    await expect(page.getByText(/\d+ waits? for the control plane to send/)).toBeVisible(patient)
    // One of those that wait, opened, says what to look at.
    await page.getByRole('combobox', { name: 'Find' }).fill('waits = control-plane and state = slow')
    // It may get the change between the look and the press.
    await expect(async () => {
      await nodes(page).getByRole('row', { name: /not sent/ }).first().click({ timeout: 5000 })
      await expect(nodes(page).getByText(/which has not sent the change/)).toBeVisible({ timeout: 2000 })
    }).toPass(patient)
  })

  test('11: why does my trace stop here?', async ({ page }) => {
    await page.goto(`${url()}/traces`)
    const lost = page.getByRole('region', { name: 'Lost traces' })
    await expect(lost).toContainText(/tickets loses traces.*does not pass trace headers on to .*payments/, patient)
    await lost.getByRole('link', { name: 'a trace that stops' }).click()
    await expect(page).toHaveURL(/\/traces\/[0-9a-f]{32}/)
    await page.getByRole('button', { name: 'stops at tickets' }).click()
    await expect(page.getByRole('complementary', { name: 'Span' })).toContainText('tickets')
    // What was called goes on in a trace of its own.
    await page.getByRole('link', { name: 'how it goes on' }).click()
    await expect(page.getByRole('treegrid', { name: 'Spans' }).getByRole('row', { name: /payments/ }).first()).toBeVisible(patient)
  })
})

test.describe('a breaker, mixed builds, a restart', () => {
  const url = shared('breaker,mixed-builds,restart')

  test('8: which instance did the breaker throw out, and when is it back?', async ({ page }) => {
    await page.goto(`${url()}/graph`)
    const edge = mirror(page).getByRole('button', { name: /^web to tickets/ })
    await expect(edge).toBeAttached(patient)
    await edge.press('Enter')
    const ejections = panel(page).locator('section').filter({ has: page.getByRole('heading', { name: 'Ejections' }) })
    // Out, with the time that is left. Each time it is back it fails anew, so that it is in for a moment only: the strip keeps that.
    await expect(ejections.getByText(/^out, back (in \d+|any moment)/).first()).toBeVisible(patient)
    await expect(ejections).toContainText('DestinationRule booking/tickets')
    await expect(ejections.getByRole('img', { name: /out ([2-9]|\d\d) times in the last 10 min/ }).first()).toBeVisible({ timeout: 120_000 })

    // The other half of the breaker: how near callers are to the limits of the pool.
    await panel(page).getByRole('tab', { name: 'Connections' }).click()
    const limits = panel(page).locator('section').filter({ has: page.getByRole('heading', { name: 'Circuit breaker' }) }).getByRole('listitem')
    await expect(limits).toHaveText([/^connections.*[1-9]\d* \/ 64web-\d\.front$/, /^pending.*\d+ \/ 32/], patient)

    // The service says so, too, with the caller that did it.
    await page.goto(`${url()}/services/tickets.booking.svc.cluster.local`)
    await expect(page.getByRole('heading', { name: 'Ejections' })).toBeVisible(patient)
    await expect(page.getByRole('link', { name: /^web-\d\.front$/ }).first()).toBeVisible()
  })

  test('7, 8: from an edge that is retried to the endpoint that was taken out for it', async ({ page }) => {
    test.setTimeout(300_000)
    page.on('pageerror', (error) => expect(error.message).toBe(''))
    await page.goto(`${url()}/graph`)
    const edge = page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button', { name: /^web to tickets/ })
    await expect(edge).toBeAttached(patient)
    await edge.press('Enter')
    await panel(page).getByRole('link', { name: /^Tap/ }).click()

    // Tap: requests of it that were tried again; one whose failed try was answered 503, as the broken instance does.
    await page.getByRole('combobox', { name: 'Filter' }).fill('from = front/web and to = booking/tickets and attempts > 1 and status = 2xx and direction = outbound')
    await page.keyboard.press('Enter')
    const tries = page.getByRole('img', { name: /attempt 1 at 127\.0\.0\.1:\d+ .*?: 503/ })
    const requests = page.getByRole('treegrid').getByRole('row').filter({ hasText: /POST|GET/ })
    // The endpoint is out most of the time, so it takes until it is asked again; others were tried again because the bank refused.
    let at = 0
    await expect(async () => {
      await page.mouse.move(1, 1) // rows stand still under the pointer
      const row = requests.nth(at++ % Math.max(1, await requests.count()))
      await row.click({ timeout: 20_000 })
      if (await tries.isVisible()) return
      await row.click()
      throw new Error('another story')
    }).toPass({ timeout: 150_000, intervals: [200] })
    const [, endpoint = 'none'] = /attempt 1 at (127\.0\.0\.1:\d+)/.exec((await tries.getAttribute('aria-label')) ?? '') ?? []
    await page.getByRole('link', { name: 'Open trace' }).first().click()

    // Trace: that try failed, at that endpoint.
    const attempt = page.getByRole('row', { name: /attempt 1/ }).first()
    await expect(async () => {
      if (!(await attempt.isVisible())) await page.reload()
      await expect(attempt).toBeVisible({ timeout: 3000 })
    }).toPass(patient)
    await attempt.click()
    const span = page.getByRole('complementary', { name: 'Span' })
    await expect(span).toContainText(endpoint)

    // The edge again: web's sidecars have taken that endpoint out, by the rules of the DestinationRule.
    await span.getByRole('link', { name: 'Show edge' }).click()
    await expect(panel(page)).toHaveAccessibleName('Edge from web to tickets', patient)
    const ejections = panel(page).locator('section').filter({ has: page.getByRole('heading', { name: 'Ejections' }) })
    const taken = ejections.getByRole('listitem').filter({ hasText: endpoint }).first()
    await expect(taken).toContainText('DestinationRule booking/tickets', patient)
    await expect(taken.getByRole('img', { name: /out \d+ times? in the last 10 min/ })).toBeVisible()
  })

  test('13: was the application ready before its proxy, or did it stop after it?', async ({ page }) => {
    await page.goto(url())
    await findings(page).getByRole('link', { name: /posters-1\.catalog: its application went on after its sidecar had left/ }).click(patient)
    await expect(page).toHaveURL(/\/nodes\/posters-1\.catalog/)
    const lives = page.getByRole('region', { name: 'Starts and stops' })
    await expect(lives).toContainText(/Its application was ready .* before its sidecar: what it called until then could not pass/, patient)
    await expect(lives).toContainText('Its application went on after its sidecar had left')
    await expect(lives).toContainText(/sidecar started.*application ready.*sidecar serves/)
    await expect(lives).toContainText(/sidecar drains.*sidecar left.*application still up/)
    // Others came and went as they should.
    await page.goto(`${url()}/nodes/reviews-1.catalog`)
    await expect(lives).toContainText(/sidecar started.*sidecar serves.*application ready/, patient)
    await expect(lives).not.toContainText('before its sidecar')
  })

  test('16: two builds during an upgrade; who runs which, and does it matter?', async ({ page }) => {
    await page.goto(`${url()}/nodes`)
    await page.getByRole('combobox', { name: 'Find' }).fill('build = v0.0.9')
    const old = ['tickets-2.booking', 'posters-1.catalog']
    for (const id of old) await expect(nodes(page).getByRole('row', { name: new RegExp(`^${id.replace('.', '\\.')}`) })).toContainText('unsupported', patient)
    await expect(page.getByRole('search').getByText(/^2 of 12 nodes$/)).toBeVisible()
    // It matters: which object, which field, and what goes on meanwhile.
    await nodes(page).getByRole('row', { name: /^tickets-2\.booking/ }).click()
    await expect(nodes(page)).toContainText('hash_policy: not supported by build v0.0.9', patient)
    await expect(nodes(page).getByRole('table')).toContainText('DestinationRule catalog/reviews')
  })

  test('a hold on changes is seen, with its reason, and ended', async ({ page, request }) => {
    await page.goto(`${url()}/nodes`)
    await expect(nodes(page).getByRole('row').nth(3)).toBeVisible(patient)
    const rollout = page.getByRole('region', { name: 'Roll-out' })
    await expect(rollout).toHaveCount(0)
    expect((await request.post(`${url()}/api/v1/config/rollout/hold?reason=freeze`, { headers: { 'X-Sidelight-User': 'ann' } })).ok()).toBe(true)
    await expect(rollout).toContainText(/Changes are held.*held by ann: freeze/, patient)
    await rollout.getByRole('button', { name: 'Let changes through' }).click()
    await page.getByRole('dialog', { name: 'Let changes through?' }).getByRole('button', { name: 'Let it go on' }).click()
    await expect(rollout).toHaveCount(0)
  })

  test('18: what changed between then and now?', async ({ page }) => {
    await page.goto(`${url()}/graph`)
    await expect(mirror(page).getByRole('button').nth(10)).toBeAttached(patient)
    // Then is before the breaker had its rules: the change stands on the time bar, and in the list of revisions.
    await page.getByRole('link', { name: 'Config', exact: true }).click()
    await page.getByRole('link', { name: /Revisions/ }).click()
    const revision = page.getByRole('region', { name: 'Revisions' }).getByRole('button').filter({ hasText: 'tickets-breaker.yaml' })
    await revision.first().click(patient)
    const differs = page.getByRole('region', { name: 'What differs' })
    // What is new stands there whole.
    await expect(differs.locator('section').filter({ hasText: 'DestinationRule booking/tickets' }).getByLabel('YAML')).toContainText('consecutive5xxErrors: 3', patient)
    await differs.getByRole('link', { name: 'DestinationRule booking/tickets' }).click()
    await expect(page.getByRole('region', { name: 'tickets' })).toContainText('consecutive5xxErrors: 3', patient)
  })
})
