//! A throw-away program: a blind rotation of one, two and three bits a step, beside the files of crates/fhe/src/ring that it includes.
#![allow(dead_code, unused_imports)]
mod ring {
    #[path = "../crates/fhe/src/ring/fourier.rs"] pub mod fourier;
    #[path = "../crates/fhe/src/ring/gadget.rs"] pub mod gadget;
    #[path = "../crates/fhe/src/ring/product.rs"] pub mod product;
    #[path = "../crates/fhe/src/ring/vector.rs"] pub mod vector;
}
use std::time::Instant;
use aligned_vec::{avec, ABox};
use tfhe_fft::c64;
use ring::fourier::*;
use ring::product::*;
use ring::gadget::Gadget;
struct Rng(u64);
impl Rng { fn next(&mut self) -> u64 { self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); let x = self.0; (x ^ (x >> 29)).wrapping_mul(0xbf58476d1ce4e5b9) ^ (x>>7) } }
fn main() {
    const N: usize = 2048;
    let n = 918usize;
    let batch: usize = std::env::args().nth(1).map_or(16, |a| a.parse().unwrap());
    let f = Fourier::new(N);
    let half = N / 2;
    let mut rng = Rng(1);
    let gadget = Gadget::new(23, 1);
    let mut s = f.scratch();
    let polys = |count: usize, rng: &mut Rng| -> ABox<[c64]> {
        let mut out = avec![c64::default(); count * half].into_boxed_slice();
        for v in out.iter_mut() { *v = c64 { re: (rng.next() >> 11) as f64 / 9e15 - 0.5, im: (rng.next() >> 11) as f64 / 9e15 - 0.5 }; }
        out
    };
    let standard: Vec<ABox<[c64]>> = (0..n).map(|_| polys(4, &mut rng)).collect();
    let multi: Vec<ABox<[c64]>> = (0..n/2).map(|_| polys(12, &mut rng)).collect();
    let triple: Vec<ABox<[c64]>> = (0..n/3).map(|_| polys(28, &mut rng)).collect();
    let mut bthree = f64::MAX;
    let mut acc: Vec<ABox<[u64]>> = (0..batch).map(|_| { let mut a = avec![0u64; 2*N].into_boxed_slice(); for v in a.iter_mut() { *v = rng.next(); } a }).collect();
    let powers: Vec<Vec<usize>> = (0..batch).map(|_| (0..n).map(|_| rng.next() as usize % (2*N)).collect()).collect();
    let mut dif = avec![0u64; 2*N].into_boxed_slice();
    let mut digits = avec![c64::default(); N].into_boxed_slice();
    let (mut bs, mut bm, mut bd, mut bt) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..10 {
        let t = Instant::now();
        for i in 0..n {
            for (a, p) in acc.iter_mut().zip(&powers) {
                let (m, b) = a.split_at(N);
                let (dm, db) = dif.split_at_mut(N);
                turn_and_subtract(m, m, p[i], dm);
                turn_and_subtract(b, b, p[i], db);
                f.add_product(gadget, &dif, &standard[i], a, &mut s);
            }
        }
        bs = bs.min(t.elapsed().as_secs_f64() * 1e3 / batch as f64);
        let t = Instant::now();
        for g in 0..n/2 {
            for (a, p) in acc.iter_mut().zip(&powers) {
                f.digits(gadget, a, &mut digits, &mut s);
                let (p1, p2) = (p[2*g], p[2*g+1]);
                let turns = [Turn { power: p1, digits: &digits }, Turn { power: p2, digits: &digits }, Turn { power: p1+p2, digits: &digits }];
                f.add_turned(&turns, &digits, &multi[g], a, &mut s);
            }
        }
        bm = bm.min(t.elapsed().as_secs_f64() * 1e3 / batch as f64);
        let t = Instant::now();
        for g in 0..n/3 {
            for (a, p) in acc.iter_mut().zip(&powers) {
                f.digits(gadget, a, &mut digits, &mut s);
                let turns: Vec<Turn> = (1..8usize).map(|k| Turn { power: (0..3).filter(|b| k >> b & 1 == 1).map(|b| p[3*g+b]).sum(), digits: &digits }).collect();
                f.add_turned(&turns, &digits, &triple[g], a, &mut s);
            }
        }
        bthree = bthree.min(t.elapsed().as_secs_f64() * 1e3 / batch as f64);
        let t = Instant::now();
        for _ in 0..n/2 { for a in acc.iter_mut() { f.digits(gadget, a, &mut digits, &mut s); } }
        bd = bd.min(t.elapsed().as_secs_f64() * 1e3 / batch as f64);
        let t = Instant::now();
        for g in 0..n/2 {
            for (a, p) in acc.iter_mut().zip(&powers) {
                let (p1, p2) = (p[2*g], p[2*g+1]);
                let turns = [Turn { power: p1, digits: &digits }, Turn { power: p2, digits: &digits }, Turn { power: p1+p2, digits: &digits }];
                f.add_turned(&turns, &digits, &multi[g], a, &mut s);
            }
        }
        bt = bt.min(t.elapsed().as_secs_f64() * 1e3 / batch as f64);
    }
    println!("three: {bthree:.2} {:.3}", bthree / bs); println!("batch {batch}: standard {bs:.2}, multi {bm:.2} (digits {bd:.2}, add_turned {bt:.2}) ms, ratio {:.3}", bm / bs);
}
