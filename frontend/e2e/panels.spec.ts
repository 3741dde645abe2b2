import { expect, type Page, test } from '@playwright/test'

/** The panels of the dashboards where there is no Grafana: on their own page, and on those of what they are about. */

const patient = { timeout: 60_000 }
const panel = (page: Page, name: string) => page.getByRole('region', { name, exact: true })

for (const c of [
  { of: 'a service', path: '/services/payments.booking.svc.cluster.local', panels: ['Requests by answer', 'Latency', 'Error share by caller', 'Requests by workload'], to: /\/dashboards\/sidelight-service\?.*service=payments/ },
  { of: 'a workload', path: '/workloads/booking/tickets', panels: ['Inbound by answer', 'Inbound latency', 'Outbound error share', 'CPU of its sidecars'], to: /\/dashboards\/sidelight-workload\?.*workload=tickets/ },
  { of: 'a node', path: '/nodes/tickets-1.booking', panels: ['CPU', 'Memory', 'Added latency'], to: /\/dashboards\/sidelight-proxy\?.*node=tickets-1\.booking/ },
]) {
  test(`panels on the page of ${c.of}, and the way to all of them`, async ({ page }) => {
    await page.goto(c.path)
    for (const name of c.panels) {
      await panel(page, name).scrollIntoViewIfNeeded()
      // What it draws, it also says: the name of a series and its last value.
      await expect(panel(page, name).getByRole('img')).toHaveAttribute('aria-label', new RegExp(`^${name}: \\S.* <?\\d`), patient)
      await expect(panel(page, name).locator('canvas')).toBeVisible()
    }
    await page.getByRole('link', { name: 'All panels' }).click()
    await expect(page).toHaveURL(c.to)
    await expect(page.locator('main section[data-kind]').first()).toBeVisible()
  })
}

test('every dashboard draws all its panels', async ({ page }) => {
  test.setTimeout(180_000)
  const { dashboards } = (await (await page.request.get('/api/v1/dashboards')).json()) as { dashboards: { uid: string; title: string; panels: number }[] }
  expect(dashboards.length).toBe(7)
  // So high that all panels of a page are in view.
  await page.setViewportSize({ width: 1440, height: 5200 })
  for (const { uid, title, panels } of dashboards) {
    await page.goto(`/dashboards/${uid}`)
    const shown = page.locator('main section[data-kind]')
    await expect(shown).toHaveCount(panels, patient)
    // Some things do not happen in this mesh; what is asked can be had, though.
    const waiting = () =>
      shown.evaluateAll((all) => all.filter((one) => !one.querySelector('canvas, table, ul, p') || one.querySelector('[role=alert]')).map((one) => `${one.getAttribute('aria-label')}: ${one.textContent}`))
    await expect.poll(waiting, { message: title, ...patient }).toEqual([])
  }
})
