//! The three kinds of dr.bkbcs.tencent.com/v1alpha1: spec, status, spellings and CRDs. Types only.
