// The tenant's Kubernetes objects, stored or as they are typed, and what validation says, at the line that it is about.
import { text } from './api.js';
import { useTelling } from './asked.js';
import { Press, Trouble } from './parts.js';
import { html, useEffect, useRef, useSignal } from './view.js';
import { perMonth, t } from './words.js';

// Lines that are shown before and after the one that is meant.
const AROUND = 2;

function Finding({ finding, lines, show }) {
  const { line } = finding;
  const first = Math.max(0, (line ?? 1) - 1 - AROUND);
  return html`<li class=${finding.severity}>
    <p><b>${t(`severity_${finding.severity}`)}</b> ${finding.message} <small>${finding.object} ${finding.path} <code>${finding.code}</code></small></p>
    ${line && html`<pre tabindex="0" aria-label=${t('at_line', { line })}>${lines.slice(first, line + AROUND).map((said, i) => html`<span
      class=${first + i + 1 === line ? 'meant' : ''}>${`${String(first + i + 1).padStart(5)} ${first + i + 1 === line ? '▶' : ' '} ${said}\n`}</span>`)}</pre>
      <button type="button" onClick=${() => show(line)}>${t('to_line', { line })}</button>`}
  </li>`;
}

function Report({ report, lines, show }) {
  return html`<p role="status">${t(report.valid ? 'manifest_valid' : 'manifest_not_valid')}
    ${report.estimated_cost && html` · ${perMonth(report.estimated_cost)}`} · ${t('pod_security', { standard: report.pod_security })}</p>
  <ol class="findings">${report.findings.map((finding, i) => html`<${Finding} key=${i} finding=${finding} lines=${lines} show=${show} />`)}</ol>`;
}

// To a line of a text, which is chosen.
function goTo(box, line) {
  const lines = box.value.split('\n');
  const begin = lines.slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
  box.focus();
  box.setSelectionRange(begin, begin + (lines[line - 1]?.length ?? 0));
  box.scrollTop = (box.scrollHeight / lines.length) * Math.max(0, line - 5);
}

// Of a tenant that is not stored: to read. `preview` asks for it; `draft`: of what it is asked.
export function ManifestPreview({ preview, draft }) {
  const found = useSignal(null);
  const area = useRef(null);
  const of = JSON.stringify(draft);
  const ask = async () => {
    const answer = await preview();
    if (answer) found.value = { ...answer, of, lines: answer.manifest.split('\n') };
  };
  const shown = found.value;
  return html`<section><h2>${t('manifest')}</h2>
    <p><button type="button" onClick=${ask}>${t('preview_manifest')}</button></p>
    ${shown && html`${shown.of !== of && html`<p class="lost" role="status">${t('manifest_before')}</p>`}
      <${Report} report=${shown.validation} lines=${shown.lines} show=${(line) => goTo(area.current, line)} />
      <label class="above">${t('manifest')} <textarea ref=${area} class="code" rows="18" spellcheck=${false} readonly value=${shown.manifest}></textarea></label>`}
  </section>`;
}

// Of a stored tenant, whose manifest can be tried by hand as well. `when`: another value asks for it again. `preview`: asks for
// that of what is typed. Of several answers the one that was asked for last counts; what is typed by hand is replaced by none,
// a newer one is offered.
export function Manifest({ store, when, preview }) {
  const written = useSignal('');
  const report = useSignal(null);
  const trouble = useSignal(null);
  const newer = useSignal(null);
  const area = useRef(null);
  const asked = useRef(0);
  const reported = useRef(0);
  const isTyped = useRef(false);
  const telling = useTelling();
  const take = (found, said = null) => {
    isTyped.current = false;
    reported.current++;
    [written.value, report.value, trouble.value, newer.value] = [found, said, null, null];
  };
  useEffect(() => {
    const mine = ++asked.current;
    text(`${store.path}/manifest`).then(
      (found) => mine === asked.current && (isTyped.current ? (newer.value = found) : take(found)),
      (error) => mine === asked.current && (trouble.value = error),
    );
    return () => asked.current++;
  }, [when]);
  const type = (event) => {
    isTyped.current = true;
    written.value = event.target.value;
  };
  const typed = async () => {
    const mine = ++asked.current;
    const answer = await preview();
    if (!answer || mine !== asked.current) return;
    take(answer.manifest, { ...answer.validation, lines: answer.manifest.split('\n') });
  };
  const check = async () => {
    const checked = written.value;
    const mine = ++reported.current;
    const answer = await telling.tell('POST', 'api/v1/tenants/validate-manifest', { tenant_id: store.tenantId, manifest_content: checked });
    if (mine === reported.current) report.value = answer && { ...answer, lines: checked.split('\n') };
  };
  const show = (line) => goTo(area.current, line);
  return html`<section><h2>${t('manifest')}</h2>
    <p><small>${t('manifest_hint')}</small></p>
    <${Trouble} error=${trouble.value ?? telling.error} />
    <label class="above">${t('manifest')} <textarea ref=${area} class="code" rows="18" spellcheck=${false} value=${written.value}
      onInput=${type}></textarea></label>
    ${newer.value !== null && html`<p class="lost" role="status">${t('manifest_newer')}
      <button type="button" onClick=${() => take(newer.value)}>${t('take_newer')}</button></p>`}
    <p class="spans"><${Press} busy=${telling.busy} disabled=${!written.value} onClick=${check}>${t('check_manifest')}<//>
      <button type="button" onClick=${typed}>${t('preview_manifest')}</button></p>
    ${report.value && html`<${Report} report=${report.value} lines=${report.value.lines} show=${show} />`}
  </section>`;
}
