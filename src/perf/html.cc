// perf/html.cc: the report page. One file without any address in it: style, data and the code that draws are inside.
#include "perf/report.h"

namespace weir::perf {
namespace {

constexpr const char* page_head = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>weir perf</title>
<style>
:root{color-scheme:light dark;--fg:#1b2733;--bg:#fff;--dim:#64748b;--line:#d9e0e7;--a:#0b7285;--b:#d9480f;--c:#5f3dc4;--d:#2b8a3e}
@media(prefers-color-scheme:dark){:root{--fg:#e2e8f0;--bg:#11181f;--dim:#94a3b8;--line:#2b3947;--a:#3bc9db;--b:#ffa94d;--c:#b197fc;--d:#69db7c}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .3rem}.dim{color:var(--dim)}
table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}td,th{padding:.2rem .9rem .2rem 0;text-align:right;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--dim)}td:first-child,th:first-child{text-align:left}
svg{width:100%;height:auto;display:block}text{fill:var(--dim);font:11px system-ui,sans-serif}.grid{stroke:var(--line);stroke-width:1}
.legend span{margin-right:1.2rem}.legend i{display:inline-block;width:1.2rem;height:3px;margin-right:.4rem;vertical-align:middle}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:color-mix(in srgb,var(--line) 35%,transparent);padding:.7rem;border-radius:6px}
ul{padding-left:1.1rem}
</style></head><body><main id="main"></main>
<script type="application/json" id="data">)html";

constexpr const char* page_code = R"html(</script><script>
"use strict";
const D=JSON.parse(document.getElementById("data").textContent),main=document.getElementById("main"),R=D.runs[D.main_run];
const esc=s=>String(s).replace(/[&<>"]/g,c=>({"&":"&amp;","<":"&lt;",">":"&gt;",'"':"&quot;"}[c]));
const ms=us=>us==null?"–":us>=1e5?(us/1e3).toFixed(0):us>=1e4?(us/1e3).toFixed(1):(us/1e3).toFixed(us>=1e3?2:3);
const add=h=>main.insertAdjacentHTML("beforeend",h);
const names={warmup:"warm-up",backlog:"backlog",catchup:"catch-up",measure:"measured"};
function table(head,rows){return "<table><tr>"+head.map(h=>"<th>"+esc(h)+"</th>").join("")+"</tr>"+rows.map(r=>"<tr>"+r.map(c=>"<td>"+esc(c)+"</td>").join("")+"</tr>").join("")+"</table>"}
function ticks(lo,hi,log){
  if(log){const t=[];for(let e=Math.floor(lo);e<=Math.ceil(hi);e++)for(const m of hi-lo>3?[1]:[1,2,5]){const v=e+Math.log10(m);if(v>=lo-1e-9&&v<=hi+1e-9)t.push(v)}return t}
  const step=Math.pow(10,Math.floor(Math.log10((hi-lo)/4||1))),k=[1,2,5,10].map(m=>m*step).find(s=>(hi-lo)/s<=6)||step*10,t=[];
  for(let v=Math.ceil(lo/k)*k;v<=hi+1e-9;v+=k)t.push(v);return t}
const short=v=>{const a=Math.abs(v);return a>=1e9?+(v/1e9).toFixed(2)+"G":a>=1e6?+(v/1e6).toFixed(2)+"M":a>=1e3?+(v/1e3).toFixed(2)+"k":+v.toPrecision(3)+""};
// series: {name,color,points:[[x,y|null]]}; marks: [[x,text]]
function plot(title,note,series,o){
  series=series.filter(s=>s.points.some(p=>p[1]!=null));
  if(!series.length)return;
  const W=1040,H=300,L=64,B=34,T=12,P=14,all=series.flatMap(s=>s.points).filter(p=>p[1]!=null);
  const fx=o.logx?v=>Math.log10(Math.max(v,1e-6)):v=>v,fy=o.logy?v=>Math.log10(Math.max(v,1e-3)):v=>v;
  let x0=Math.min(...all.map(p=>fx(p[0]))),x1=Math.max(...all.map(p=>fx(p[0]))),y0=o.logy?Math.min(...all.map(p=>fy(p[1]))):0,y1=Math.max(...all.map(p=>fy(p[1])));
  if(o.y0!=null)y0=o.y0;if(o.y1!=null)y1=o.y1;if(x1-x0<1e-9)x1=x0+1;if(y1-y0<1e-9)y1=y0+1;if(!o.logy&&o.y1==null)y1*=1.05;
  const X=v=>L+(fx(v)-x0)/(x1-x0)*(W-L-P),Y=v=>H-B-(fy(v)-y0)/(y1-y0)*(H-B-T);
  let s="";
  for(const t of ticks(y0,y1,o.logy)){const v=o.logy?Math.pow(10,t):t,y=Y(v);s+=`<line class=grid x1=${L} x2=${W-P} y1=${y} y2=${y} /><text x=${L-8} y=${y+4} text-anchor=end>${o.yname?o.yname(v):short(v)}</text>`}
  for(const t of ticks(x0,x1,o.logx)){const v=o.logx?Math.pow(10,t):t;s+=`<text x=${X(v)} y=${H-B+16} text-anchor=middle>${short(v)}</text>`}
  for(const [x,text] of o.marks||[])if(fx(x)>=x0&&fx(x)<=x1)s+=`<line class=grid x1=${X(x)} x2=${X(x)} y1=${T} y2=${H-B} stroke-dasharray="4 4"/><text x=${X(x)+4} y=${T+10}>${esc(text)}</text>`;
  s+=`<text x=${(W+L)/2} y=${H-4} text-anchor=middle>${esc(o.x)}</text><text x=12 y=${H/2} transform="rotate(-90 12 ${H/2})" text-anchor=middle>${esc(o.y)}</text>`;
  for(const e of series){let d="",pen=false;for(const [x,y] of e.points){if(y==null){pen=false;continue}d+=(pen?"L":"M")+X(x).toFixed(1)+" "+Y(y).toFixed(1);pen=true}
    s+=`<path d="${d}" fill=none stroke="var(--${e.color})" stroke-width=1.8 stroke-linejoin=round />`;if(e.points.length<40)for(const [x,y] of e.points)if(y!=null)s+=`<circle cx=${X(x)} cy=${Y(y)} r=2.5 fill="var(--${e.color})"/>`}
  add(`<h2>${esc(title)}</h2><div class=dim>${esc(note)}</div><div class=legend>${series.map(e=>`<span><i style="background:var(--${e.color})"></i>${esc(e.name)}</span>`).join("")}</div><svg viewBox="0 0 ${W} ${H}" role=img aria-label="${esc(title)}">${s}</svg>`)}
document.title=(D.title||"weir perf")+" – report";
add(`<h1>${esc(D.title||"weir perf")}</h1><div class=dim>${esc(D.started_at)} · ${esc(D.options.bootstrap)} · ${esc(D.machine)} · weir perf ${esc(D.version)}</div>`);
add("<ul>"+D.verdict.map(v=>"<li>"+esc(v)+"</li>").join("")+"</ul>");
const latency=p=>[["produce, from the intended send",p.produce_from_intended],["produce, from the actual send",p.produce_from_actual],["end to end, from the intended send",p.end_to_end],["end to end, from the actual send",p.end_to_end_from_actual]].filter(r=>r[1].count);
for(const p of R.phases.filter(p=>p.name!="warmup")){
  const s=p.end_seconds-p.begin_seconds,mb=b=>(b/1e6/s).toFixed(1);
  add(`<h2>Latency, ${names[p.name]} phase (${s.toFixed(0)} s, ${mb(p.delivered_bytes)} MB/s in, ${mb(p.consumed_bytes)} MB/s out)</h2>`);
  add(table(["milliseconds","mean","p50","p90","p99","p99.9","p99.99","max","samples"],latency(p).map(([n,h])=>[n,ms(h.mean_us),ms(h.p50_us),ms(h.p90_us),ms(h.p99_us),ms(h.p999_us),ms(h.p9999_us),ms(h.max_us),h.count.toLocaleString("en")])))}
add('<div class=dim>A percentile is shown only where at least 100 samples lie beyond it.</div>');
add(`<h2>Records</h2>`+table(["sent","acknowledged","failed","read","lost","duplicated","reordered"],[[R.sent,R.delivered,R.failed,R.consumed,R.lost,R.duplicated,R.reordered].map(v=>v.toLocaleString("en"))]));
if(D.costs){const c=D.costs,n=v=>v==null?"–":+v.toPrecision(3)+"";add("<h2>Per GB that was acknowledged</h2>"+table(["store calls","PUT","GET","WAL writes","broker CPU-s","dollars"],[[n(c.calls_per_gb),n(c.put_calls_per_gb),n(c.get_calls_per_gb),n(c.wal_writes_per_gb),n(c.broker_cpu_seconds_per_gb),n(c.dollars_per_gb)]]))}
if(D.broker){const rows=l=>l.map(s=>[s.name,ms(s.mean_us),ms(s.p50_us),ms(s.p99_us),ms(s.p999_us),s.count.toLocaleString("en")]),head=["","mean ms","p50","p99","p99.9","samples"];
  if(D.broker.emulated.length)add("<h2>Emulated: "+esc(D.broker.emulated.join(", "))+"</h2><div class=dim>These figures are a model's, not that device's.</div>");
  if(D.broker.produce_stages.length)add("<h2>In the broker: stages of a produce</h2>"+table(head,rows(D.broker.produce_stages)));
  if(D.broker.reads.length)add("<h2>In the broker: reads by where they came from</h2>"+table(head,rows(D.broker.reads)))}
if(D.runs.length>1){
  const m=r=>r.phases.find(p=>p.name=="measure"),got=r=>{const p=m(r);return p.delivered_bytes/1e6/(p.end_seconds-p.begin_seconds)},ok=D.runs.filter(r=>m(r)).sort((a,b)=>got(a)-got(b));
  plot("Latency against throughput","each point is one rate; the knee is where latency leaves the flat part",[["p50","a","p50_us"],["p99","b","p99_us"],["max","c","max_us"]].map(([n,c,k])=>({name:"produce "+n,color:c,points:ok.map(r=>[got(r),m(r).produce_from_intended[k]==null?null:m(r).produce_from_intended[k]/1e3])})),{x:"MB/s acknowledged",y:"ms",logy:true});
  add(table(["asked records/s","MB/s","p50 ms","p99 ms","max ms","lost","machine busy"],ok.map(r=>[r.rate_asked?r.rate_asked.toFixed(0):"max",got(r).toFixed(1),ms(m(r).produce_from_intended.p50_us),ms(m(r).produce_from_intended.p99_us),ms(m(r).produce_from_intended.max_us),r.lost,r.machine_busy_ratio<0?"–":(r.machine_busy_ratio*100).toFixed(0)+" %"])))}
const I=R.intervals,marks=R.phases.map(p=>[p.begin_seconds,names[p.name]]),at=f=>I.map(i=>[i.at_seconds,f(i)]),k=v=>v==null?null:v/1e3;
plot("Latency over time: produce","from the intended send, per interval",[{name:"p50",color:"a",points:at(i=>k(i.produce.p50_us))},{name:"p99",color:"b",points:at(i=>k(i.produce.p99_us))},{name:"max",color:"c",points:at(i=>i.produce.count?k(i.produce.max_us):null)}],{x:"seconds",y:"ms",logy:true,marks});
plot("Latency over time: end to end","from the intended send until a consumer has the record",[{name:"p50",color:"a",points:at(i=>k(i.end_to_end.p50_us))},{name:"p99",color:"b",points:at(i=>k(i.end_to_end.p99_us))},{name:"max",color:"c",points:at(i=>i.end_to_end.count?k(i.end_to_end.max_us):null)}],{x:"seconds",y:"ms",logy:true,marks});
plot("Throughput","MB/s",[{name:"acknowledged",color:"a",points:at(i=>i.delivered_bytes/1e6/i.seconds)},{name:"read, all groups",color:"b",points:at(i=>i.consumed_bytes/1e6/i.seconds)}],{x:"seconds",y:"MB/s",marks});
plot("Backlog","records acknowledged and not yet read, over all groups",[{name:"records",color:"c",points:at(i=>Math.max(0,i.backlog))}],{x:"seconds",y:"records",marks});
const nines=p=>-Math.log10(1-p);
const cdf=h=>{let seen=0;return h.buckets.map(([u,c])=>{seen+=c;return [u/1e3,seen<h.count?nines(seen/h.count):null]}).filter(p=>p[1]!=null)};
const M=R.phases.find(p=>p.name=="measure");
if(M)plot("Distribution","share of records that were at least so fast, measured phase",latency(M).map(([n,h],i)=>({name:n,color:"abcd"[i],points:cdf(h)})),{x:"ms",y:"share",logx:true,y0:0,yname:v=>v<=0?"0 %":(100-100*Math.pow(10,-v)).toFixed(Math.max(0,Math.ceil(v)-2))+" %"});
add("<h2>Command</h2><pre>"+esc(D.command.join(" "))+"</pre><h2>Options</h2><pre>"+esc(JSON.stringify(D.options,null,1))+"</pre>");
</script></body></html>
)html";

}  // namespace

std::string to_html(const std::string& json) {
  std::string page = page_head;
  // "</script" may stand in a topic's name or a title: JSON may write the slash with a backslash.
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '<' && i + 1 < json.size() && json[i + 1] == '/') {
      page += "<\\/";
      ++i;
    } else {
      page.push_back(json[i]);
    }
  }
  return page + page_code;
}

}  // namespace weir::perf
