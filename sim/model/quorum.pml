/* pgha: the members vote.  Rule names are those of quorum.md.
 * spin -DN=2|3 [-DML=3]; MUT=,RULE, in the environment of pan removes a rule (mutation test).
 *
 * A report that is pulled late is a step that is taken late, as every step may be: pauses, lost or delayed messages
 * and partitions of any pair need no state of their own.  Votes and stored rules are collected in steps of their
 * own, so that they may be out of date when they are counted.
 * With k > 0 promises may be broken here (S4).  The core does not do so any more: a session below synchronous_commit = on is
 * acknowledged by the lease alone, and there are none of those here.  What holds with S4 holds without it.
 * Time: ticks; a timer is stored as ticks left on its owner's clock.
 * Skew: in any W+1 ticks one node may miss one tick, so W = TTL+1 is exactly the needed margin.
 * WAL: a list of terms; a promotion writes one entry of its term.  (timeline, LSN) = (term of the last entry, length). */
#ifndef N
#define N 3
#endif
#ifndef ML
#define ML 4
#endif
#define ALL ((1<<N)-1)
#define Q (N/2+1)
c_decl {
  \#include <stdio.h>
  \#include <stdlib.h>
  \#include <string.h>
  static int lim(const char *n, int d) { char *e=getenv(n); return e ? atoi(e) : d; }
  static int ttl, maxt, maxc, maxw, maxr, maxk, maxl, maxd, wit, tk, reads, refd, fetch, k0, s0;
  static const char *mutname[]={"POST","MARGIN","PROMISE","BOUND","ONCE","VDUR","UPTODATE","RX","RULEAGE","S3","FAST","INST","START","FREE",
   "REFUSED","DEGRADE","OPEN","CATCHUP","STORE","RELEASE","WON","DROP","ELIG","FOLLOW","FETCHED",0};
  static unsigned mut;
  static unsigned long ev[21];
  static const char *evn[]={"ack async","ack sync","ack degraded","vote","vote, promise over","vote, refused","vote, released","vote, sync fast","elected","promoted",
   "withdrawn","degraded","armed","elected while old lease runs (sync)","rewind","acked async commit lost","leader restarts as leader","promise given back after a vote","read","rule adopted by gossip","WAL fetched"};
  static void evdump(void){int i;for(i=0;i<21;i++)printf("  ev %-40s %lu\n",evn[i],ev[i]);}
  static void setup(int n) {
    char *e=getenv("MUT"); int i;
    ttl=lim("TTL",1); maxt=lim("MAXT",3); maxc=lim("MAXC",0); maxw=lim("MAXW",1); maxr=lim("MAXR",0); maxk=lim("MAXK",0); maxl=lim("MAXL",2); maxd=lim("MAXD",0);
    wit=lim("WIT",0); tk=lim("TK",7); reads=lim("READS",0); refd=lim("REFD",1); fetch=lim("FETCH",0); k0=lim("K",0); s0=lim("S",k0?6&((1<<n)-1)&~wit:0);
    /* terms, crashes, withdrawals, rule changes, missed ticks, WAL entries written by leaders, releases; witnesses; who may stand; reads shown, WAL fetched from standbys */
    for(i=0; mutname[i]; i++) { char b[32]; sprintf(b,",%s,",mutname[i]); if (e && strstr(e,b)) { mut|=1u<<i; printf("without rule %s\n",mutname[i]); } }
    atexit(evdump); }
}
#define MUT(x) c_expr { (mut>>x)&1 }
#define TTL c_expr { ttl }
#define W0 (TTL+1)
#define W (TTL+1-MUT(1))
#define MAXT c_expr { maxt }
#define B(i) (1<<(i))
#define WIT(i) (c_expr { wit } & B(i))
#define DATA (ALL & ~(c_expr { wit }))

/* rule, packed and ordered: term, epoch, k, S, eligible */
#define MK(t,e,k,s,g) (((t)<<10)|((e)<<7)|((k)<<6)|((s)<<3)|(g))
#define RT(r) (((r)>>10)&3)
#define RE(r) (((r)>>7)&7)
#define RK(r) (((r)>>6)&1)
#define RS(r) (((r)>>3)&7)
#define RG(r) ((r)&7)
#define RAGE(r) ((r)>>7)
#define CNT(x) (((x)&1)+(((x)>>1)&1)+(((x)>>2)&1))

#define DOWN 0
#define STBY 1
#define CAND 2
#define WON  3          /* elected, durable; not promoted yet */
#define LEAD 4
#define WITN 5

byte role[N], was[N];                /* was: what a node that is down restarts as */
byte term[N];                        /* of the candidacy or the leadership */
byte sterm[N], sldr[N];              /* support; durable */
byte vt[N], vc[N];                   /* the last vote: term, candidate; 0: none, or closed; durable */
byte hi[N], wd[N], won[N];           /* highest term voted in or supported; withdrawn; greatest term led in; durable */
int  rule[N], orule[N]; byte st[N];  /* newest rule stored (durable); leader: last committed one, who is known to have stored the newest */
byte got[N];                         /* votes collected */
byte rx[N], wl[N], w[N*ML], fl[N*N]; /* following (leader+1), WAL, positions acknowledged to a leader */
byte prom[N], promto[N], echo[N];    /* promise left, to whom (+1), lease credit that its echo can still give */
byte cred[N*N];                      /* cred[L*N+v]: lease credit collected */
bit  rel[N], opn[N], vb[N], rst[N];          /* gate closed by release; opened (S5); vb: v was bound by a vote since it last promised (for the event) */
byte arm[N], armlsn[N];
byte ncr, nwd, nru, nsk, nre, cool;
byte sa[ML], aa[ML], gl[4], gp[N];   /* ghosts: protected acks, acks, leader of a term, term of the last election */
byte m, p; bit sy, bound; byte cnt;

#define EV(n) c_code { ev[n]++; }
#define FORN m=0; do :: m<N ->
#define FORL m=0; do :: m<ML ->
#define END  m++ :: else -> break od; m=0

#define LASTT(i) (wl[i]>0 -> w[(i)*ML+wl[i]-1] : 0)
#define UPTO(c,v) (MUT(6) || WIT(v) || LASTT(c)>LASTT(v) || (LASTT(c)==LASTT(v) && wl[c]>=wl[v]))
/* an unresolved vote for a term greater than the supported leader's binds the voter */
#define BOUND(v) (vt[v]>sterm[v])
#if N==2
#define LEASE(i) (1+((cred[(i)*N+(1-(i))]>0)) >= Q)
#else
#define LEASE(i) (1+(cred[(i)*N+((i)+1)%N]>0)+(cred[(i)*N+((i)+2)%N]>0) >= Q)
#endif
#define GATE(i) (LEASE(i) && !rel[i] && opn[i])
#define POST(i) (MUT(0) || GATE(i))
#define FLUSHED(i,r,x) (!RK(r) || ((RS(r)&1) && fl[(i)*N+0]>(x)) || ((RS(r)&2) && fl[(i)*N+1]>(x)) || (N>2 && (RS(r)&4) && fl[(i)*N+N-1]>(x)))
#define ARMED(i,x) (arm[i]==0 || ((arm[i]&1) && fl[(i)*N+0]>(x)) || ((arm[i]&2) && fl[(i)*N+1]>(x)) || (N>2 && (arm[i]&4) && fl[(i)*N+N-1]>(x)))
#define CAUGHT(i,j) (MUT(17) || !(arm[i]&B(j)) || fl[(i)*N+(j)]>=armlsn[i])
#define SENOUGH(i) (!RK(rule[i]) || MUT(9) || CNT(got[i]&RS(rule[i])) >= CNT(RS(rule[i]))-1+1)
#define STABLE(i) (role[i]==LEAD && orule[i]==rule[i] && GATE(i))
#define SUPPORTS(v,i) (sldr[v]==i && sterm[v]==term[i])

inline clearlead(i) {
  FORN fl[i*N+m]=0; cred[i*N+m]=(MUT(11) -> cred[i*N+m] : 0); if :: promto[m]==i+1 && !MUT(11) -> echo[m]=0 :: else fi; END;
  got[i]=0; st[i]=0; rel[i]=0; opn[i]=0; rst[i]=0; arm[i]=0; armlsn[i]=0 }
inline support(v,t,l) { sterm[v]=t; sldr[v]=l; if :: hi[v]<t -> hi[v]=t :: else fi; if :: vt[v]<=t -> vt[v]=0; vc[v]=0 :: else fi }
#define RESOLVED(v) (wd[vc[v]]>=vt[v] && (won[vc[v]]<vt[v] || MUT(20)))
/* B2 (c): a vote that is still open makes way for another one: nobody is supported any more, and no leader of before its term will be */
inline vote(v,t,c) { if :: vt[v]>0 && !RESOLVED(v) && !MUT(21) -> sterm[v]=vt[v]; sldr[v]=N; EV(17) :: else fi; hi[v]=t; vt[v]=t; vc[v]=c }
inline externalise(i) {
  FORN assert(m==i || gp[m]<=term[i] || (wl[m]>p && w[m*ML+p]==w[i*ML+p])); END;       /* G2 */
  aa[p]=w[i*ML+p]; if :: sy -> sa[p]=w[i*ML+p] :: else fi; p=0; sy=0 }

proctype Node(byte i) {
  do
  /* --- crash and restart --- */
  :: d_step { role[i]!=DOWN && ncr<c_expr { maxc } -> ncr++;
       was[i]=((role[i]==LEAD && !rel[i]) -> LEAD : (role[i]==WON -> WON : (role[i]==WITN -> WITN : STBY)));
       if :: role[i]==CAND -> wd[i]=term[i]; vt[i]=0; vc[i]=0 :: else fi;      /* restarts without its candidacy */
       if :: MUT(5) -> vt[i]=0; vc[i]=0; hi[i]=sterm[i] :: else fi;
       clearlead(i); rx[i]=0; role[i]=DOWN; echo[i]=0; if :: MUT(12) -> prom[i]=0 :: else -> prom[i]=W fi }
  :: d_step { role[i]==DOWN -> role[i]=was[i]; was[i]=0; if :: !MUT(12) && prom[i]<W -> prom[i]=W :: else fi;
       if :: role[i]==LEAD -> EV(16); rst[i]=1; orule[i]=MK(0,0,0,0,0); st[i]=B(i) :: else fi }
  :: d_step { role[i]==LEAD && !GATE(i) && ncr<c_expr { maxc } -> ncr++; clearlead(i); rx[i]=0; role[i]=STBY; prom[i]=W }   /* F1, L4: steps down */
  /* --- candidacy --- */
  :: d_step { role[i]==STBY && (c_expr { tk } & B(i)) && hi[i]<MAXT && (MUT(22) || (RG(rule[i])&B(i))) && !rel[i] &&
       (MUT(2) || prom[i]==0 || RK(rule[i]) || MUT(10)) ->          /* its own vote obeys V2 like any other */
       if :: true -> term[i]=hi[i]+1 :: hi[i]+1<MAXT -> term[i]=hi[i]+2 fi;          /* it may have seen greater terms */
       vote(i,term[i],i); role[i]=CAND; got[i]=B(i); if :: !MUT(7) -> rx[i]=0 :: else fi }
  :: d_step { role[i]==CAND && CNT(got[i])>=Q && SENOUGH(i) && (MUT(22) || (RG(rule[i])&B(i))) ->
       role[i]=WON; gp[i]=term[i]; EV(8); assert(gl[term[i]]==0 || gl[term[i]]==i+1); gl[term[i]]=i+1;            /* G1 */
       FORL assert(sa[m]==0 || sa[m]>=term[i] || (wl[i]>m && w[i*ML+m]==sa[m]));                            /* G3 */
            if :: aa[m]>0 && aa[m]<term[i] && (wl[i]<=m || w[i*ML+m]!=aa[m]) -> aa[m]=0; EV(15) :: else fi; END;
       FORN if :: m!=i && role[m]==LEAD && LEASE(m) && !rel[m] -> EV(13) :: else fi; END }
  :: d_step { role[i]==WON && wl[i]<ML -> clearlead(i); role[i]=LEAD; rx[i]=0; w[i*ML+wl[i]]=term[i]; wl[i]=wl[i]+1; support(i,term[i],i); won[i]=term[i]; EV(9);
       orule[i]=MK(0,0,0,0,0); st[i]=B(i);
       /* R1: the mode stays; a synchronous cluster needs all other data members as S */
       rule[i]=(RK(rule[i]) -> MK(term[i],0,1,((RS(rule[i])|RG(rule[i]))&~B(i)&DATA),DATA) : MK(term[i],0,0,0,(RG(rule[i])==DATA -> DATA : B(i))));
       opn[i]=0 }
  :: d_step { (role[i]==CAND || role[i]==WON) && nwd<c_expr { maxw } -> nwd++; wd[i]=term[i]; if :: vc[i]==i -> vt[i]=0; vc[i]=0 :: else fi; role[i]=STBY; got[i]=0; EV(10);
       if :: gl[term[i]]==i+1 && role[i]==STBY -> gp[i]=0 :: else fi }           /* ghost: it will never acknowledge in that term */
  /* --- S5 --- */
  :: d_step { role[i]==LEAD && !opn[i] && (MUT(16) || (orule[i]==rule[i] && FLUSHED(i,rule[i],wl[i]-1))) -> opn[i]=1 }
  /* --- commits --- */
  :: d_step { role[i]==LEAD && wl[i]<ML && c_expr { maxl }>0 && wl[i]<c_expr { maxl }+term[i] -> w[i*ML+wl[i]]=term[i]; wl[i]=wl[i]+1; rst[i]=0 }
  :: d_step { role[i]==LEAD && wl[i]>0 && aa[wl[i]-1]!=w[i*ML+wl[i]-1] && LASTT(i)==term[i] && FLUSHED(i,rule[i],wl[i]-1) && ARMED(i,wl[i]-1) &&
       ((MUT(15) && !RK(rule[i])) || FLUSHED(i,orule[i],wl[i]-1)) && POST(i) ->
       p=wl[i]-1; sy=(RK(rule[i]) || RG(rule[i])!=DATA); if :: RK(rule[i]) -> EV(1) :: !RK(rule[i]) && RG(rule[i])==DATA -> EV(0) :: else -> EV(2) fi; externalise(i) }
  /* a read shows what a restarted leader wrote before it was confirmed (S5) */
  :: d_step { c_expr { reads } && rst[i] && role[i]==LEAD && GATE(i) && RK(rule[i]) && wl[i]>0 && LASTT(i)==term[i] && aa[wl[i]-1]!=w[i*ML+wl[i]-1] -> EV(18); p=wl[i]-1; sy=1; externalise(i) }
  /* --- the rule --- */
  :: d_step { STABLE(i) && RK(rule[i]) && nru<c_expr { maxr } -> nru++; EV(11); st[i]=B(i); rule[i]=MK(term[i],RE(rule[i])+1,0,0,B(i)) }
  :: d_step { role[i]==LEAD && orule[i]!=rule[i] && CNT(st[i])>=Q -> orule[i]=rule[i]; st[i]=B(i); arm[i]=0; armlsn[i]=0 }
  :: d_step { arm[i]>0 && role[i]==LEAD && orule[i]==rule[i] && CAUGHT(i,0) && CAUGHT(i,1) && (N<3 || CAUGHT(i,N-1)) ->
       EV(12); st[i]=B(i); rule[i]=MK(term[i],RE(rule[i])+1,1,arm[i],(arm[i]|B(i))) }
  /* --- switchover --- */
  :: d_step { STABLE(i) && nre<c_expr { maxd } -> nre++; rel[i]=1 }
  od }

proctype Pair(byte i; byte v) {     /* i: leader or candidate; v: another voter */
  do
  /* promise, echo, ends of a promise */
  :: d_step { role[i]==LEAD && !rel[i] && (role[v]==STBY || role[v]==WITN || (MUT(3) && role[v]==CAND)) && SUPPORTS(v,i) && (MUT(3) || !BOUND(v)) ->
       if :: vb[v] -> EV(17); vb[v]=0 :: else fi; prom[v]=W; promto[v]=i+1; echo[v]=TTL }
  :: d_step { role[i]==LEAD && promto[v]==i+1 && echo[v]>cred[i*N+v] -> cred[i*N+v]=echo[v] }
  :: d_step { promto[v]==i+1 && prom[v]>0 && role[v]!=DOWN && ((role[i]==DOWN && c_expr { refd }) || MUT(14)) -> prom[v]=0; EV(5) }
  :: d_step { promto[v]==i+1 && prom[v]>0 && role[v]!=DOWN && (rel[i] || (MUT(19) && role[i]==LEAD)) -> prom[v]=0; EV(6) }
  /* support of a posted leader */
  :: d_step { role[i]==LEAD && role[v]!=DOWN && role[v]!=LEAD && role[v]!=WON && (term[i]>sterm[v] || (term[i]==sterm[v] && sldr[v]==N)) ->
       if :: role[v]==CAND -> wd[v]=term[v]; role[v]=STBY; got[v]=0; if :: vc[v]==v -> vt[v]=0; vc[v]=0 :: else fi :: else fi; support(v,term[i],i); rx[v]=0 }
  /* vote */
  :: d_step { role[i]==CAND && (role[v]==STBY || role[v]==WITN) && (term[i]>hi[v] || (MUT(4) && term[i]>=hi[v])) &&
       (MUT(2) || prom[v]==0 || promto[v]==i+1 || RK(rule[v]) || MUT(10)) &&
       (MUT(8) || RAGE(rule[i])>=RAGE(rule[v])) && UPTO(i,v) ->
       EV(3); if :: prom[v]>0 -> EV(7) :: else -> EV(4) fi;
       vote(v,term[i],i); vb[v]=1; if :: !MUT(7) -> rx[v]=0 :: else fi }
  :: d_step { role[i]==CAND && vt[v]==term[i] && vc[v]==i && !(got[i]&B(v)) -> got[i]=got[i]|B(v) }
  /* a vote is resolved: the candidate withdrew */
  :: d_step { vt[v]>0 && vc[v]==i && role[v]!=DOWN && (RESOLVED(v) || MUT(13)) -> vt[v]=0; vc[v]=0 }
  /* rules: stored for the leader, and by candidates from whoever has a newer one */
  :: d_step { role[i]==LEAD && role[v]!=DOWN && role[v]!=LEAD && role[v]!=WON && RAGE(rule[i])>RAGE(rule[v]) && ((SUPPORTS(v,i) && !BOUND(v)) || MUT(18)) -> rule[v]=rule[i] }
  :: d_step { role[i]==LEAD && orule[i]!=rule[i] && rule[v]==rule[i] && ((SUPPORTS(v,i) && !BOUND(v)) || MUT(18)) && !(st[i]&B(v)) -> st[i]=st[i]|B(v) }
  :: d_step { (role[v]==CAND || role[v]==STBY) && role[i]!=DOWN && role[i]!=LEAD && RAGE(rule[i])>RAGE(rule[v]) -> rule[v]=rule[i]; EV(19) }
  /* streaming */
  :: d_step { role[i]==LEAD && role[v]==STBY && rx[v]!=i+1 && ((SUPPORTS(v,i) && !BOUND(v)) || MUT(23)) ->
       m=0; do :: m<wl[i] && m<wl[v] && w[i*ML+m]==w[v*ML+m] -> m++ :: else -> break od;
       if :: m<wl[v] -> EV(14) :: else fi;
       do :: wl[v]>m -> wl[v]=wl[v]-1; w[v*ML+wl[v]]=0 :: else -> break od; m=0; rx[v]=i+1; fl[i*N+v]=wl[v] }
  :: d_step { role[i]==LEAD && (role[v]==STBY || (MUT(7) && (role[v]==CAND || role[v]==WON))) && rx[v]==i+1 && wl[v]<wl[i] ->
       m=0; do :: m<wl[v] && w[i*ML+m]==w[v*ML+m] -> m++ :: else -> break od;
       if :: m==wl[v] -> w[v*ML+wl[v]]=w[i*ML+wl[v]]; wl[v]=wl[v]+1; fl[i*N+v]=wl[v] :: else -> rx[v]=0 fi; m=0 }
  /* B4: WAL of the leader that both support, from a standby; nobody counts what is confirmed so.  It continues what is there. */
  :: d_step { c_expr { fetch } && role[i]==STBY && role[v]==STBY && wl[v]<wl[i] &&
       ((sterm[i]==sterm[v] && sldr[i]==sldr[v] && LASTT(i)==LASTT(v) && vt[i]==0 && vt[v]==0) || MUT(24)) ->
       FORL assert(m>=wl[v] || w[i*ML+m]==w[v*ML+m]); END;
       w[v*ML+wl[v]]=w[i*ML+wl[v]]; wl[v]=wl[v]+1; rx[v]=0; EV(20) }
  /* arming */
  :: d_step { STABLE(i) && !RK(rule[i]) && RG(rule[i])!=DATA && arm[i]==0 && !WIT(v) && nru<c_expr { maxr } -> nru++; arm[i]=B(v); armlsn[i]=wl[i] }
  od }

#define TICK(late) cool=(cool>0 -> cool-1 : 0); FORN if :: m==late :: else -> \
   prom[m]=(prom[m]>0 -> prom[m]-1 : 0); p=0; \
   do :: p<N -> cred[m*N+p]=(cred[m*N+p]>0 -> cred[m*N+p]-1 : 0); if :: promto[p]==m+1 && echo[p]>0 -> echo[p]=echo[p]-1 :: else fi; p++ :: else -> break od; p=0 fi; END
proctype World() {
  do
  :: d_step { true -> TICK(N) }
  :: d_step { cool==0 && nsk<c_expr { maxk } -> nsk++; TICK(0); cool=W0 }
  :: d_step { cool==0 && nsk<c_expr { maxk } -> nsk++; TICK(1); cool=W0 }
  od }

init {
  d_step {
    c_code { setup(N); };
    FORN sterm[m]=1; sldr[m]=0; hi[m]=1; role[m]=(WIT(m) -> WITN : STBY);
      rule[m]=MK(1,0,c_expr { k0 },c_expr { s0 },(c_expr { k0 } -> (c_expr { s0 }|1) : DATA));
      if :: !WIT(m) -> w[m*ML]=1; wl[m]=1 :: else fi; END;
    role[0]=LEAD; term[0]=1; won[0]=1; orule[0]=rule[0]; opn[0]=1; gl[1]=1; gp[0]=1; st[0]=1;
    FORN if :: m>0 && !WIT(m) -> rx[m]=1; fl[m]=1 :: else fi; END;
    aa[0]=1; sa[0]=1;
  }
  atomic { run Node(0); run Node(1); run Pair(0,1); run Pair(1,0);
#if N>2
    run Node(2); run Pair(0,2); run Pair(2,0); run Pair(1,2); run Pair(2,1);
#endif
    run World() } }
