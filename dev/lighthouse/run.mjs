// Lighthouse over pages that are told one a line on standard input, as JSON:
//   {"name", "url", "method", "body", "cookies": [{name, value, url}], "hold"}
// It opens each in a browser context of its own, a POST by sending the same form again, and answers with one line:
//   {"name", "title", "accessibility", "performance", "failing": [audit ids], "error"}
// `hold` takes the Refresh header off the answer: the page stands still while it is judged.
// CHROME_PATH names the browser; the phone and the slow line are Lighthouse's own mobile settings.

import {createInterface} from 'node:readline';
import {navigation} from 'lighthouse';
import puppeteer from 'puppeteer-core';

const config = {
  extends: 'lighthouse:default',
  settings: {
    onlyCategories: ['accessibility', 'performance'],
    ignoreStatusCode: true, // a page that says what went wrong is judged like any other
    skipAudits: ['bf-cache'], // it goes away and comes back, which an answer to a form does not survive
    extraHeaders: {'Accept-Language': 'ja-JP'}, // where no person is known, the browser's language counts
    disableStorageReset: true, // the cookie is how a page knows its person
  },
};

async function hold(page, url) {
  const session = await page.createCDPSession();
  await session.send('Fetch.enable', {patterns: [{urlPattern: url, requestStage: 'Response'}]});
  session.on('Fetch.requestPaused', async ({requestId, responseStatusCode: responseCode, responseHeaders}) => {
    const changed = responseCode && {
      responseCode,
      responseHeaders: responseHeaders.filter(({name}) => name.toLowerCase() !== 'refresh'),
    };
    await session.send('Fetch.continueResponse', {requestId, ...changed});
  });
}

function submit(page, {url, body}) {
  return page.evaluate(
    (action, fields) => {
      const form = document.createElement('form');
      Object.assign(form, {method: 'post', action});
      for (const [name, value] of new URLSearchParams(fields)) {
        const field = document.createElement('input');
        Object.assign(field, {type: 'hidden', name, value});
        form.append(field);
      }
      document.body.append(form);
      form.submit();
    },
    url,
    body,
  );
}

async function judge(browser, told) {
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    if (told.cookies.length) await page.setCookie(...told.cookies);
    if (told.hold) await hold(page, told.url);
    let way = told.url;
    if (told.method === 'POST') {
      await page.goto(new URL('/verify', told.url).href);
      way = () => submit(page, told);
    }
    const {lhr} = await navigation(page, way, {config});
    const scores = Object.fromEntries(
      Object.entries(lhr.categories).map(([id, {score}]) => [id, Math.round(score * 100)]),
    );
    const failing = lhr.categories.accessibility.auditRefs
      .map(({id}) => lhr.audits[id])
      .filter(({score}) => score !== null && score < 1)
      .map(({id}) => id);
    return {name: told.name, title: await page.title(), ...scores, failing, error: lhr.runtimeError?.message ?? ''};
  } catch (fault) {
    return {name: told.name, title: '', accessibility: null, performance: null, failing: [], error: String(fault)};
  } finally {
    await context.close();
  }
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROME_PATH,
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
for await (const line of createInterface({input: process.stdin})) {
  console.log(JSON.stringify(await judge(browser, JSON.parse(line))));
}
await browser.close();
